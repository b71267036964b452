//! The prompt while it is written, never longer than a prompt may be.

use crate::failure::Failure;

pub(crate) const BYTES_MAX: usize = 256 * 1024;

#[derive(Default)]
pub(crate) struct Output(String);

impl Output {
    pub(crate) fn write(&mut self, text: &str) -> Result<(), Failure> {
        if self.0.len() + text.len() > BYTES_MAX {
            return Err(Failure::Failed("the prompt is over its limit of 256 KiB".to_owned()));
        }
        self.0.push_str(text);
        Ok(())
    }

    /// Without the whitespace around it.
    pub(crate) fn into_prompt(self) -> String {
        let trimmed = self.0.trim();
        if trimmed.len() == self.0.len() { self.0 } else { trimmed.to_owned() }
    }
}
