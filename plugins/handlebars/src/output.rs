//! The prompt while it is written, never longer than a prompt may be.

use std::ops::Range;

use crate::failure::Failure;

pub(crate) const BYTES_MAX: usize = 256 * 1024;

#[derive(Default)]
pub(crate) struct Output {
    text: String,
    /// Whether the last line is the end of a fence, which bears nothing behind it.
    after_fence: bool,
    /// What a partial's lines begin with, but for those of fences.
    indentation: String,
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
        if self.indentation.is_empty() {
            return self.push(text);
        }
        for line in text.split_inclusive('\n') {
            if self.text.ends_with('\n') {
                let indentation = std::mem::take(&mut self.indentation);
                let pushed = self.push(&indentation);
                self.indentation = indentation;
                pushed?;
            }
            self.push(line)?;
        }
        Ok(())
    }

    /// Begins each line with more than before; gives back what it was.
    pub(crate) fn indent(&mut self, more: &str) -> usize {
        let before = self.indentation.len();
        self.indentation.push_str(more);
        before
    }

    /// Ends that.
    pub(crate) fn restore(&mut self, before: usize) {
        self.indentation.truncate(before);
    }

    /// Writes a fence on lines of its own, without indentation: that could make it part of a list,
    /// which its text would end. Behind lines that may be HTML there is a blank one, since these go
    /// on until then. Where the fence stands is known at the end.
    pub(crate) fn write_fence(&mut self, fence: &str) -> Result<Range<usize>, Failure> {
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.push("\n")?;
        }
        if may_be_html(&self.text) {
            self.push("\n")?;
        }
        let start = self.text.len();
        self.push(fence)?;
        self.after_fence = true;
        Ok(start..self.text.len())
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

/// Whether one of the lines since the last blank one begins a tag.
fn may_be_html(text: &str) -> bool {
    let lines = text.lines().rev().take_while(|line| !line.trim().is_empty());
    lines.into_iter().any(|line| line.trim_start_matches(' ').starts_with('<'))
}
