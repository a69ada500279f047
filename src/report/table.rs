//! Plain tables: no frames, one rule under the header, at most [`WIDTH`] columns. They read the
//! same with and without colour.

use comfy_table::{
    CellAlignment, ColumnConstraint, ContentArrangement, ContentLineStyle, LineStyle, Table,
    TableStyle, Width,
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
const UNITS: [&str; 13] =
    ["µs", "ms", "s", "min", "h", "years", "B", "KiB", "MiB", "GiB", "TiB", "PiB", "%"];

/// Stands between two figures that stay on one line.
const TIMES: &str = "×";

/// A text whose figures are bound to their units, and `204 × 20` to one piece, by [`BOUND`].
pub(super) fn bound(cell: &str) -> String {
    let mut out = String::with_capacity(cell.len());
    let mut is_figure = false;
    let mut last = "";
    for word in cell.split(' ') {
        if !out.is_empty() {
            let unit = word.trim_end_matches([',', ';', ':', '.', ')', '⌉']);
            let is_bound = (is_figure && UNITS.contains(&unit)) || word == TIMES || last == TIMES;
            out.push(if is_bound { BOUND } else { ' ' });
        }
        out.push_str(word);
        last = word;
        is_figure = word.ends_with(|c: char| c.is_ascii_digit());
    }
    out
}

/// What each column may be given. Names and figures keep to one line as long as there is room;
/// where there is not, the widest of them break too, between their pieces. A piece is never cut.
fn constraints(
    columns: &[Column<'_>],
    header: &[String],
    rows: &[Vec<String>],
) -> Vec<Option<ColumnConstraint>> {
    let widest = |index: usize, ends: &[char]| {
        let cells = rows.iter().filter_map(|row| row.get(index)).chain(header.get(index));
        let pieces = cells.flat_map(|cell| cell.split(ends)).map(|piece| piece.chars().count());
        pieces.max().unwrap_or(0)
    };
    let whole: Vec<usize> = (0..columns.len()).map(|index| widest(index, &['\n'])).collect();
    let least: Vec<usize> = (0..columns.len()).map(|index| widest(index, &['\n', ' '])).collect();
    let mut breaks: Vec<bool> =
        columns.iter().map(|column| matches!(column, Column::Words(_))).collect();
    let room = usize::from(WIDTH) - INDENT.len();
    let width = |breaks: &[bool]| -> usize {
        let of = |index: usize| GAP + if breaks[index] { least[index] } else { whole[index] };
        (0..columns.len()).map(of).sum()
    };
    while width(&breaks) > room {
        let firm = (0..columns.len()).filter(|index| !breaks[*index]);
        let Some(next) = firm.max_by_key(|index| whole[*index] - least[*index]) else { break };
        breaks[next] = true;
    }
    let fits = width(&breaks) <= room;
    let constraint = |index: usize| match (breaks[index], u16::try_from(least[index])) {
        (false, _) => Some(ColumnConstraint::ContentWidth),
        // A cell is a blank wider than what stands in it.
        (true, Ok(least)) if fits => Some(ColumnConstraint::LowerBoundary(Width::Fixed(least + 1))),
        (true, _) => None,
    };
    (0..columns.len()).map(constraint).collect()
}

/// Renders a table, indented, with a line end after every line.
#[must_use]
pub fn render(columns: &[Column<'_>], rows: Vec<Vec<String>>) -> String {
    let joint = if fits(columns, &rows) { " " } else { "\n" };
    let header: Vec<String> =
        columns.iter().map(|column| column.name().replace('\n', joint)).collect();
    let bound = |row: Vec<String>| row.iter().map(|cell| bound(cell)).collect::<Vec<_>>();
    let rows: Vec<Vec<String>> = rows.into_iter().map(bound).collect();
    let constraints = constraints(columns, &header, &rows);
    let mut table = Table::new();
    table
        .load_style(STYLE)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH - 2)
        .set_header(header);
    table.add_rows(rows);
    for (index, (column, constraint)) in columns.iter().zip(constraints).enumerate() {
        if let Some(cells) = table.column_mut(index) {
            cells.set_padding((0, 1));
            if matches!(column, Column::Figures(_)) {
                cells.set_cell_alignment(CellAlignment::Right);
            }
            if let Some(constraint) = constraint {
                cells.set_constraint(constraint);
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
    fn no_piece_is_cut_and_names_break_where_room_is_short() {
        let columns = [
            Column::Words("formula"),
            Column::Names("which"),
            Column::Names("basis"),
            Column::Figures("comes to"),
        ];
        let piece = "1,234,567,890,123/s";
        let cells = [
            format!("{piece} × 30.4 / {piece} and more of it"),
            "REST broadcast, bytes out/s and others ".repeat(2),
            "Microsoft benchmark".to_owned(),
            format!("{piece} to {piece}"),
        ];
        let text = render(&columns, vec![cells.clone().into()]);
        assert!(text.lines().all(|line| line.chars().count() <= usize::from(WIDTH)), "{text}");
        let pieces: Vec<&str> = text.split_whitespace().collect();
        for piece in cells.iter().flat_map(|cell| cell.split_whitespace()) {
            assert!(pieces.contains(&piece), "{piece}: {text}");
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
