//! A value together with its position.

use std::ops::Range;

/// A value and its position in the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Located<T> {
    /// The value.
    pub(crate) value: T,
    /// Byte range of the value in the document's text.
    pub(crate) span: Range<usize>,
}

impl<T> Located<T> {
    /// Converts the value and keeps the position.
    pub(crate) fn map<U>(self, convert: impl FnOnce(T) -> U) -> Located<U> {
        Located { value: convert(self.value), span: self.span }
    }
}
