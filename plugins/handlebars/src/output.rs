//! The prompt while it is written, never longer than a prompt may be.

use crate::failure::Failure;
use crate::fences::Fences;

pub(crate) const BYTES_MAX: usize = 256 * 1024;

#[derive(Default)]
pub(crate) struct Output {
    text: String,
    fences: Fences,
    /// Whether the last line is the end of a fence, which bears nothing behind it.
    after_fence: bool,
}

impl Output {
    pub(crate) fn write(&mut self, text: &str) -> Result<(), Failure> {
        // The prompt begins with its first word: what indents it would not be seen.
        let text = if self.text.is_empty() { text.trim_start() } else { text };
        if text.is_empty() {
            return Ok(());
        }
        let ends_line = text.starts_with('\n') || text.starts_with("\r\n");
        if std::mem::take(&mut self.after_fence) && !ends_line {
            self.push("\n")?;
        }
        self.push(text)
    }

    /// Writes a fence on lines of its own, without indentation: that could make it part of a list,
    /// which its text would end. False when it stands within a fence of the template's, where it
    /// is none.
    pub(crate) fn write_fence(&mut self, fence: &str) -> Result<bool, Failure> {
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.push("\n")?;
        }
        let stands = !self.fences.is_open(&self.text);
        self.push(fence)?;
        self.after_fence = true;
        Ok(stands)
    }

    /// Without the whitespace around it.
    pub(crate) fn into_prompt(self) -> String {
        let mut text = self.text;
        text.truncate(text.trim_end().len());
        text
    }

    fn push(&mut self, text: &str) -> Result<(), Failure> {
        if self.text.len() + text.len() > BYTES_MAX {
            return Err(Failure::Failed("the prompt is over its limit of 256 KiB".to_owned()));
        }
        self.text.push_str(text);
        Ok(())
    }
}
