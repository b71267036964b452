//! Pages of a listing, newest first.

use super::StoreError;
use super::sql::{Reader, Row};

/// Which page of a listing.
#[derive(Clone, Copy, Debug)]
pub struct PageRequest {
    before: i64,
    limit: u32,
}

/// The text is not a cursor that an earlier page gave.
#[derive(Debug, thiserror::Error)]
#[error("is not a cursor that an earlier page gave")]
pub struct InvalidCursor;

impl PageRequest {
    /// The most rows a page may have.
    pub const LIMIT_MAX: u32 = 200;

    /// At most `limit` rows (1 to 200), after the page whose `next_cursor` this is.
    ///
    /// # Errors
    /// When the cursor is none.
    pub fn new(limit: u32, cursor: Option<&str>) -> Result<Self, InvalidCursor> {
        let first = Self::first(limit);
        let Some(cursor) = cursor else { return Ok(first) };
        let before = i64::from_str_radix(cursor, 16).map_err(|_| InvalidCursor)?;
        Ok(Self { before, ..first })
    }

    /// The first page, of at most `limit` rows (1 to 200).
    pub fn first(limit: u32) -> Self {
        Self { before: i64::MAX, limit: limit.clamp(1, Self::LIMIT_MAX) }
    }

    pub(super) fn before(self) -> i64 {
        self.before
    }

    /// One row more than the page has, to know whether another follows.
    pub(super) fn fetch(self) -> i64 {
        i64::from(self.limit) + 1
    }
}

/// Rows, and where the next page begins.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// What to ask for the next page with; none at the end.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// The page made of rows fetched by [`PageRequest::fetch`], which must have a column `seq`.
    pub(super) fn read(
        table: &'static str,
        rows: &[Row],
        request: PageRequest,
        read: impl Fn(&Row) -> Result<T, StoreError>,
    ) -> Result<Self, StoreError> {
        let shown = &rows[..rows.len().min(request.limit as usize)];
        let items = shown.iter().map(read).collect::<Result<_, _>>()?;
        let next_cursor = match shown.last() {
            Some(last) if rows.len() > shown.len() => {
                let seq: i64 = Reader::new(table, last).get("seq")?;
                Some(format!("{seq:x}"))
            }
            _ => None,
        };
        Ok(Self { items, next_cursor })
    }
}
