//! What every page has in common: one file, no script, nothing loaded from elsewhere, plain tables;
//! readable on narrow screens, in light and dark.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::verdict::Outcome;

/// Colours are pairs for light and dark, each at least 4.5 to 1 against its ground; paper is always
/// light. A table that is too wide scrolls in its own box, with a shadow on the side where more is
/// hidden, and its first column stays in view.
const CSS: &str = "\
:root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--dim:#5c6670;--line:#d8dee4;--soft:#f5f7f9;\
--shade:#0004;--pass:#1a7f37;--fail:#cf222e;--warn:#8a5c00}\
@media screen and (prefers-color-scheme:dark){:root{--bg:#12161b;--fg:#e4e9ee;--dim:#98a4af;\
--line:#2f3841;--soft:#1a2027;--shade:#000c;--pass:#4ac26b;--fail:#ff7b72;--warn:#d4a72c}}\
*{box-sizing:border-box}body{margin:0 auto;max-width:72rem;padding:1.25rem;background:var(--bg);\
color:var(--fg);font:16px/1.5 system-ui,sans-serif;overflow-wrap:break-word}\
header,.check{border-left:.35rem solid;padding:.1rem 0 .1rem .9rem}\
header.pass{border-color:var(--pass)}header.fail,.check{border-color:var(--fail)}\
header.warn{border-color:var(--warn)}\
header p{margin:.3rem 0;color:var(--fg)}header p.dim{color:var(--dim)}\
h1{font-size:1.25rem;line-height:1.3;margin:.1rem 0 .5rem;color:var(--fg)}\
h2{font-size:1.1rem;margin:2rem 0 .5rem}h2 .dim{font-weight:400;font-size:.95rem}\
h3{font-size:1rem;margin:1.2rem 0 .4rem}\
.verdict{font-weight:700;font-size:1.7rem;line-height:1.2;margin:0}\
.pass{color:var(--pass)}.fail{color:var(--fail)}.warn{color:var(--warn)}.dim{color:var(--dim)}\
td.fail{font-weight:700}.check{margin:1rem 0}.check p{margin:0;font-weight:600}\
dl{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:.15rem 1rem;margin:.3rem 0}\
dt{color:var(--dim)}dd{margin:0;grid-column:2;overflow-wrap:anywhere}\
.scroll{overflow-x:auto;margin:.4rem 0;background:\
linear-gradient(to left,var(--bg) 40%,transparent) right/3rem 100% no-repeat local,\
linear-gradient(to left,var(--shade),transparent) right/.7rem 100% no-repeat scroll}\
table{border-collapse:separate;border-spacing:0;width:100%;font-size:.92rem}\
th,td{padding:.35rem .7rem;text-align:left;border-bottom:1px solid var(--line);\
vertical-align:top;white-space:nowrap}\
thead th{background:var(--soft);font-weight:600}\
tbody th{background:var(--bg);font-weight:400;position:sticky;left:0}\
.n{text-align:right;font-variant-numeric:tabular-nums}\
.w{white-space:normal;min-width:13rem}\
code{font-size:.9em}summary{cursor:pointer;margin:1rem 0 .4rem}\
@media(max-width:40rem){body{padding:.9rem}th,td{padding:.35rem .5rem}\
tbody th,.c{white-space:normal;max-width:8rem;overflow-wrap:anywhere}\
tbody th{min-width:6rem;hyphens:auto}.c{min-width:7rem;max-width:10rem}\
.w{min-width:11rem}th+.w,th+.w+.w{min-width:8rem}}\
@media print{@page{margin:12mm}body{max-width:none;padding:0;font-size:10pt}\
.scroll{overflow:visible;background:none}table{font-size:8pt}th,td{padding:.2rem .35rem}\
.w{min-width:0}td,tbody th{white-space:normal;overflow-wrap:break-word}.n{white-space:nowrap}\
tbody th{position:static;background:none}\
tr,.check,header{break-inside:avoid}h2,summary{break-after:avoid}\
details::details-content{content-visibility:visible;block-size:auto}}";

/// A page; `styles` are those that it adds to the common ones.
pub(super) fn render(title: &str, styles: &str, header: &Markup, main: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(CSS)) (PreEscaped(styles)) }
            }
            body {
                (header)
                main { (main) }
            }
        }
    };
    page.into_string()
}

/// What a page opens with: the answer in the colour of its class, what it is about, what is said
/// of it.
pub(super) fn header(class: &str, answer: &str, heading: &str, said: &Markup) -> Markup {
    html! {
        header class=(class) {
            p class={ "verdict " (class) } { (answer) }
            h1 { (heading) }
            (said)
        }
    }
}

/// The class that colours a verdict.
pub(super) const fn class_of(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "pass",
        Outcome::Fail => "fail",
        Outcome::Undetermined | Outcome::Invalid => "warn",
    }
}

/// A table in a box of its own that scrolls sideways, by keyboard too; in the header each column's
/// name and whether it holds figures, which stand to the right.
pub(super) fn table(label: &str, header: &[(&str, bool)], rows: &Markup) -> Markup {
    html! {
        div class="scroll" role="region" aria-label=(label) tabindex="0" {
            table {
                thead {
                    tr {
                        @for (name, is_figure) in header {
                            th class=[is_figure.then_some("n")] scope="col" { (name) }
                        }
                    }
                }
                tbody { (rows) }
            }
        }
    }
}
