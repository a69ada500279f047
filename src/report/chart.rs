//! Charts as inline SVG, in the page's own colours; no script.

use maud::{Markup, html};

/// Width and height of the plot, in units of its own.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 180.0;
/// Room to the left and below for scales.
const LEFT: f64 = 78.0;
const BELOW: f64 = 24.0;

/// Styles of the charts; on a narrow screen they scroll rather than shrink past reading.
pub const CSS: &str = "\
figure{margin:.4rem 0 1rem;overflow-x:auto}figcaption{color:var(--dim);font-size:.9rem}\
svg{width:100%;min-width:38rem;max-width:50rem;height:auto;font:14px system-ui,sans-serif}\
svg text{fill:var(--dim)}svg .axis{stroke:var(--line)}\
svg .a{stroke:var(--fail);fill:none;stroke-width:2}\
svg .b{stroke:var(--pass);fill:none;stroke-width:2}\
svg .c{stroke:var(--blue);fill:none;stroke-width:2}\
svg .d{stroke:var(--warn);fill:none;stroke-width:2}\
svg .e{stroke:var(--violet);fill:none;stroke-width:2}\
svg .f{stroke:var(--dim);fill:none;stroke-width:2}\
svg .limit{stroke:var(--warn);stroke-dasharray:5 4}\
svg .fits{fill:var(--pass)}svg .past{fill:var(--fail)}svg .all{fill:var(--soft)}\
.a-key{color:var(--fail)}.b-key{color:var(--pass)}.limit-key{color:var(--warn)}\
.c-key{color:var(--blue)}.d-key{color:var(--warn)}.e-key{color:var(--violet)}\
.f-key{color:var(--dim)}:root{--blue:#0969da;--violet:#8250df}\
@media screen and (prefers-color-scheme:dark){:root{--blue:#58a6ff;--violet:#bc8cff}}";

/// Classes of lines, in the order in which they are used.
pub const CLASSES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// A line with the class that colours it.
pub struct Line<'a> {
    /// One of [`CLASSES`].
    pub class: &'static str,
    /// What it shows.
    pub name: &'a str,
    /// Its points.
    pub points: Vec<(f64, f64)>,
}

/// Lines over one scale from zero, with a horizontal limit where there is one.
pub fn lines(
    caption: &str,
    lines: &[Line<'_>],
    limit: Option<(&str, f64)>,
    x: &dyn Fn(f64) -> String,
    y: &dyn Fn(f64) -> String,
) -> Markup {
    let points = || lines.iter().flat_map(|line| line.points.iter().copied());
    let x_max = points().map(|(x, _)| x).fold(1e-9, f64::max);
    let y_max = points().map(|(_, y)| y).chain(limit.map(|limit| limit.1)).fold(1e-9, f64::max);
    let (plot_width, plot_height) = (WIDTH - LEFT, HEIGHT - BELOW);
    let at = |x: f64, y: f64| {
        (LEFT + plot_width * x / x_max, 8.0 + (plot_height - 8.0) * (1.0 - y / y_max))
    };
    let path = |line: &Line<'_>| {
        let points = line.points.iter().map(|(x, y)| {
            let (x, y) = at(*x, *y);
            format!("{x:.1},{y:.1}")
        });
        points.collect::<Vec<_>>().join(" ")
    };
    html! {
        figure {
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(caption) {
                @for part in [0.0, 0.5, 1.0] {
                    @let (_, row) = at(0.0, y_max * part);
                    line class="axis" x1=(LEFT) x2=(WIDTH) y1=(tenth(row)) y2=(tenth(row)) {}
                    text x=(LEFT - 6.0) y=(tenth(row + 4.0)) text-anchor="end" {
                        (y(y_max * part))
                    }
                }
                @for (part, anchor) in [(0.0, "start"), (0.5, "middle"), (1.0, "end")] {
                    @let (column, _) = at(x_max * part, 0.0);
                    text x=(tenth(column)) y=(HEIGHT - 6.0) text-anchor=(anchor) {
                        (x(x_max * part))
                    }
                }
                @if let Some((_, value)) = limit {
                    @let (_, row) = at(0.0, value);
                    line class="limit" x1=(LEFT) x2=(WIDTH) y1=(tenth(row)) y2=(tenth(row)) {}
                }
                @for line in lines { polyline class=(line.class) points=(path(line)) {} }
            }
            figcaption {
                (caption) ": "
                @for (index, line) in lines.iter().enumerate() {
                    @if index > 0 { ", " }
                    span class={ (line.class) "-key" } { "━ " (line.name) }
                }
                @if let Some((name, _)) = limit {
                    ", " span class="limit-key" { "┅ " (name) }
                }
            }
        }
    }
}

/// One bar.
pub struct Bar {
    /// Beside it.
    pub name: String,
    /// Part of the whole; above 1 it is cut.
    pub share: f64,
    /// Where it should end.
    pub planned: f64,
    /// At its right.
    pub value: String,
}

/// Bars over one scale of 100 %, each with a mark at what is planned for.
pub fn bars(caption: &str, bars: &[Bar]) -> Markup {
    const ROW: f64 = 24.0;
    const NAME: f64 = 250.0;
    const VALUE: f64 = 70.0;
    let scale = WIDTH - NAME - VALUE;
    #[expect(clippy::cast_precision_loss, reason = "rows are few")]
    let height = ROW * bars.len() as f64 + 4.0;
    let rows = bars.iter().scan(0.0_f64, |top, bar| {
        let at = *top;
        *top += ROW;
        Some((at, bar))
    });
    html! {
        figure {
            svg viewBox={ "0 0 " (WIDTH) " " (height) } role="img" aria-label=(caption) {
                @for (top, bar) in rows {
                    @let is_past = bar.share > bar.planned * (1.0 + 1e-9);
                    @let class = if is_past { "past" } else { "fits" };
                    @let planned = tenth(NAME + scale * bar.planned);
                    text x=(NAME - 8.0) y=(top + 16.0) text-anchor="end" { (bar.name) }
                    rect class="all" x=(NAME) y=(top + 4.0) width=(scale) height=(ROW - 8.0) {}
                    rect class=(class) x=(NAME) y=(top + 4.0) height=(ROW - 8.0)
                        width=(tenth(scale * bar.share.clamp(0.0, 1.0))) {}
                    line class="limit" x1=(planned) x2=(planned) y1=(top + 1.0)
                        y2=(top + ROW - 1.0) {}
                    text x=(NAME + scale + 8.0) y=(top + 16.0) { (bar.value) }
                }
            }
            figcaption { (caption) }
        }
    }
}

/// A coordinate without digits that nobody sees.
fn tenth(value: f64) -> String {
    format!("{value:.1}")
}
