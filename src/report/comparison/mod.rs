//! A run against a base, told: as text, as Markdown; and what is kept of a run for it.

mod markdown;
mod record;
mod text;
mod wording;

#[cfg(test)]
mod tests;

pub use markdown::render as markdown;
pub use record::{plan_record, record};
pub use text::{changes, figures, headline, render as text};

/// What the two are called: as the user named them.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// What is compared with.
    pub base: &'a str,
    /// What is compared.
    pub run: &'a str,
}
