//! Plain tables: no frames, one rule under the header, at most [`WIDTH`] columns. They read the
//! same with and without colour.

use comfy_table::{
    CellAlignment, ColumnConstraint, ContentArrangement, ContentLineStyle, LineStyle, Table,
    TableStyle,
};

/// Widest line of a report.
pub const WIDTH: u16 = 100;

/// Columns that lines of a report are indented by.
pub const INDENT: &str = "  ";

/// Columns between two columns of a table.
const GAP: usize = 2;

const STYLE: TableStyle = TableStyle::new()
    .header_lines(ContentLineStyle::none())
    .header_separator(LineStyle::none().fill('─').junction('─'))
    .content_lines(ContentLineStyle::none());

/// How the cells of a column stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column<'a> {
    /// Words, to the left, broken over lines where room is short.
    Words(&'a str),
    /// Names, to the left, never broken.
    Names(&'a str),
    /// Figures, to the right, never broken.
    Figures(&'a str),
}

impl<'a> Column<'a> {
    /// The header; a line end in it is where it breaks when room is short.
    pub(super) const fn name(self) -> &'a str {
        match self {
            Self::Words(name) | Self::Names(name) | Self::Figures(name) => name,
        }
    }
}

/// Whether everything stands on one line, headers too, within the width.
fn fits(columns: &[Column<'_>], rows: &[Vec<String>]) -> bool {
    let widest = |(index, column): (usize, &Column<'_>)| {
        let cells = rows.iter().filter_map(|row| row.get(index)).map(|cell| cell.chars().count());
        cells.chain([column.name().chars().count()]).max().unwrap_or(0)
    };
    let content: usize = columns.iter().enumerate().map(widest).sum();
    content + GAP * columns.len() <= usize::from(WIDTH) - INDENT.len()
}

/// What stands for a blank at which no line breaks, until the table is laid out.
pub(super) const BOUND: char = '\u{a0}';

/// Units that stay on the line of their figure.
const UNITS: [&str; 9] = ["µs", "ms", "s", "min", "h", "B", "KiB", "MiB", "%"];

/// Stands between two figures that stay on one line.
const TIMES: &str = "×";

/// A text whose figures are bound to their units, and `204 × 20` to one piece, by [`BOUND`].
pub(super) fn bound(cell: &str) -> String {
    let mut out = String::with_capacity(cell.len());
    let mut is_figure = false;
    let mut last = "";
    for word in cell.split(' ') {
        if !out.is_empty() {
            let unit = word.trim_end_matches([',', ';', '.', ')']);
            let is_bound = (is_figure && UNITS.contains(&unit)) || word == TIMES || last == TIMES;
            out.push(if is_bound { BOUND } else { ' ' });
        }
        out.push_str(word);
        last = word;
        is_figure = word.ends_with(|c: char| c.is_ascii_digit());
    }
    out
}

/// Renders a table, indented, with a line end after every line.
#[must_use]
pub fn render(columns: &[Column<'_>], rows: Vec<Vec<String>>) -> String {
    let joint = if fits(columns, &rows) { " " } else { "\n" };
    let mut table = Table::new();
    table
        .load_style(STYLE)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH - 2)
        .set_header(columns.iter().map(|column| column.name().replace('\n', joint)));
    let bound = |row: Vec<String>| row.iter().map(|cell| bound(cell)).collect::<Vec<_>>();
    table.add_rows(rows.into_iter().map(bound));
    for (index, column) in columns.iter().enumerate() {
        if let Some(cells) = table.column_mut(index) {
            cells.set_padding((0, 1));
            if matches!(column, Column::Figures(_)) {
                cells.set_cell_alignment(CellAlignment::Right);
            }
            if !matches!(column, Column::Words(_)) {
                cells.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
    }
    let mut out = String::new();
    for line in table.lines() {
        out.push_str(INDENT);
        out.push_str(&line.trim_end().replace(BOUND, " "));
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_stand_to_the_right_and_lines_stay_within_the_width() {
        let rows = vec![
            vec!["short".to_owned(), "7".to_owned()],
            vec!["many words ".repeat(20), "1,234".to_owned()],
        ];
        let text = render(&[Column::Words("what"), Column::Figures("count")], rows);
        assert!(text.lines().all(|line| line.chars().count() <= usize::from(WIDTH)), "{text}");
        assert!(text.lines().count() > 4, "long words wrap: {text}");
        let sevens: Vec<_> = text.lines().filter(|line| line.ends_with(" 7")).collect();
        assert_eq!(sevens.len(), 1, "{text}");
    }

    #[test]
    fn a_line_does_not_break_between_a_figure_and_its_unit() {
        for blanks in 0..12 {
            let cell = format!("{}silent for 972 ms; 4 KiB written", "x ".repeat(40 + blanks));
            let text = render(&[Column::Words("what")], vec![vec![cell]]);
            assert!(text.contains("972 ms") && text.contains("4 KiB"), "{text}");
        }
    }

    #[test]
    fn a_header_breaks_only_where_room_is_short() {
        let columns = [Column::Words("what"), Column::Figures("median\nlife")];
        let header_of = |what: &str| {
            let text = render(&columns, vec![vec![what.to_owned(), "4 s".to_owned()]]);
            text.lines().next().unwrap_or_default().to_owned()
        };
        assert!(header_of("short").ends_with("median life"));
        assert!(header_of(&"many words ".repeat(20)).ends_with("median"));
    }
}
