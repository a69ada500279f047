//! `[upstream]`: what the application server answers, and when it answers nothing.

use http::{HeaderName, HeaderValue};
use serde::de::IgnoredAny;

use super::super::file::{
    AnswerFile, ColdStartFile, DownFile, GrantFile, OriginFile, RuleFile, UpstreamFile,
};
use super::super::plan::{
    AllowedOrigin, AnswerBody, AnswerDelay, AnswerWhat, ColdStart, ConnectGrant, HowOften,
    UpstreamAnswer, UpstreamOn, UpstreamResponse, UpstreamRule, UpstreamScript, Window,
};
use super::super::problem::{Place, Problem, Problems, closest};
use super::super::units::{Count, Lasting, Share, Size};
use super::{At, Context, Roster};
use crate::protocol::webhook::{Event, RequestKind, SystemEvent};
use crate::secret::Secret;

/// The largest body that is answered.
const BODY_BYTES_MAX: u64 = 1 << 30;
/// Status of a redirection when no other is set: method and body are kept.
const REDIRECT: u16 = 307;
/// Headers that HTTP itself sets.
const OF_HTTP: [&str; 4] = ["connection", "content-length", "transfer-encoding", "upgrade"];
/// Headers with a key of their own, and that key.
const WITH_A_KEY: [(&str, &str); 4] = [
    ("content-type", "content_type"),
    ("ce-connectionstate", "state"),
    ("webhook-allowed-origin", "origin"),
    ("location", "redirect"),
];

/// The script of a file of its own, which has no end.
pub(in crate::scenario) fn script_alone(
    file: &UpstreamFile,
    problems: &Problems,
) -> UpstreamScript {
    let roster = Roster::default();
    script(&Context { problems, duration: None, roster, groups: Vec::new() }, file)
}

/// The script of a scenario.
pub(super) fn script(context: &Context<'_>, file: &UpstreamFile) -> UpstreamScript {
    UpstreamScript {
        verify: file.verify.as_ref().and_then(At::get).copied().unwrap_or_default(),
        access_key: file.access_key.as_ref().and_then(At::get).copied().unwrap_or_default(),
        key: file.key.as_ref().and_then(|at| key(context, at)),
        cold_start: file.cold_start.as_ref().and_then(|at| cold_start(context, at.get()?)),
        down: down(context, file.down.as_ref().and_then(At::get).map_or(&[], Vec::as_slice)),
        rules: rules(context, file.rules.as_ref().and_then(At::get).map_or(&[], Vec::as_slice)),
    }
}

fn key(context: &Context<'_>, at: &At<String>) -> Option<Secret> {
    let key = at.get()?;
    if key.is_empty() {
        context.push(
            Problem::new(at.place, format!("`{}` is empty", at.path))
                .label("expected the value that `code=` must have")
                .help("leave it out if no key is asked for"),
        );
    }
    Some(Secret::new(key.as_str()))
}

fn cold_start(context: &Context<'_>, file: &ColdStartFile) -> Option<ColdStart> {
    let after_idle = file.after_idle.as_ref().map(|at| context.positive(at));
    let lasting = context.positive(&file.lasting)?;
    Some(ColdStart { lasting, after_idle: after_idle.flatten() })
}

fn window(
    context: &Context<'_>,
    from: Option<&At<Lasting>>,
    until: Option<&At<Lasting>>,
) -> Window {
    let from = context.start(from);
    Window { from, until: context.until(from, until) }
}

/// The windows in which nobody listens, in order.
fn down(context: &Context<'_>, files: &[At<DownFile>]) -> Vec<Window> {
    let read = files.iter().filter_map(|at| {
        let file = at.get()?;
        Some((window(context, file.from.as_ref(), file.until.as_ref()), at))
    });
    let mut windows: Vec<_> = read.collect();
    windows.sort_by_key(|(window, _)| window.from);
    for pair in windows.windows(2) {
        let [(earlier, first), (later, second)] = pair else { continue };
        if earlier.until.is_none_or(|until| later.from <= until) {
            context.push(
                Problem::new(second.place, format!("`{}` begins within another", second.path))
                    .label("expected it to begin later than the other's end")
                    .also(first.place, "the other")
                    .help("make one window of the two"),
            );
        }
    }
    windows.into_iter().map(|(window, _)| window).collect()
}

fn rules(context: &Context<'_>, files: &[At<RuleFile>]) -> Vec<UpstreamRule> {
    let mut rules: Vec<(UpstreamRule, Place)> = Vec::new();
    for at in files {
        let Some(rule) = at.get().and_then(|file| rule(context, at, file)) else { continue };
        if let Some((_, before)) = rules.iter().find(|(before, _)| takes_all_of(before, &rule)) {
            context.push(
                Problem::new(at.place, format!("`{}` never answers anything", at.path))
                    .label("a rule before it takes all of these requests")
                    .also(*before, "this rule")
                    .help("put it before that one, or give that one a window or a `first`"),
            );
        }
        rules.push((rule, at.place));
    }
    rules.into_iter().map(|(rule, _)| rule).collect()
}

/// Whether a rule leaves nothing to one behind it.
fn takes_all_of(before: &UpstreamRule, rule: &UpstreamRule) -> bool {
    let covers = |on: &UpstreamOn| match on {
        UpstreamOn::EveryUserEvent => before.on.contains(on),
        UpstreamOn::Kind(kind) => before.on.iter().any(|before| before.takes(kind)),
    };
    let kinds = before.on.is_empty() || (!rule.on.is_empty() && rule.on.iter().all(covers));
    let hubs = match (&before.hub, &rule.hub) {
        (None, _) => true,
        (Some(before), Some(rule)) => before.eq_ignore_ascii_case(rule),
        (Some(_), None) => false,
    };
    let ends_before = |end| rule.window.until.is_some_and(|until| until <= end);
    let window =
        before.window.from <= rule.window.from && before.window.until.is_none_or(ends_before);
    // Only a rule with a hub leaves every validation alone.
    let validations = before.hub.is_none() || rule.hub.is_some();
    kinds && hubs && validations && window && before.how_often == HowOften::Always
}

fn rule(context: &Context<'_>, at: &At<RuleFile>, file: &RuleFile) -> Option<UpstreamRule> {
    let on = file.on.as_ref().map_or(Some(Vec::new()), |at| on(context, at));
    let hub = file.hub.as_ref().and_then(|at| hub(context, at, file.on.as_ref()));
    let window = window(context, file.from.as_ref(), file.until.as_ref());
    let how_often = how_often(context, file);
    let answer = answer(context, at, file.answer.get()?, on.as_deref());
    Some(UpstreamRule { on: on?, hub, window, how_often, answer })
}

/// The kinds of requests of a rule; `None` when one of them is bad.
fn on(context: &Context<'_>, at: &At<Vec<At<String>>>) -> Option<Vec<UpstreamOn>> {
    let items = at.get()?;
    if items.is_empty() {
        context.push(
            Problem::new(at.place, format!("`{}` is empty", at.path))
                .label("expected at least one kind of request")
                .help("leave it out for every request"),
        );
    }
    // Every one is looked at before the first bad one counts.
    let kinds: Vec<_> = items.iter().map(|item| kind(context, item)).collect();
    kinds.into_iter().collect::<Option<Vec<_>>>().filter(|kinds| !kinds.is_empty())
}

fn kind(context: &Context<'_>, at: &At<String>) -> Option<UpstreamOn> {
    let name = at.get()?.as_str();
    if name == "*" {
        return Some(UpstreamOn::EveryUserEvent);
    }
    request_kind(context, at).map(UpstreamOn::Kind)
}

/// What a request is about.
pub(super) fn request_kind(context: &Context<'_>, at: &At<String>) -> Option<RequestKind> {
    let name = at.get()?.as_str();
    let is_plain = !RequestKind::NAMES.contains(&name) && !at.place.hidden;
    let spelt_out = RequestKind::spelt_out(name);
    if let Some(near) = closest(name, RequestKind::NAMES).filter(|_| is_plain && name != spelt_out)
    {
        context.push(
            Problem::new(at.place, format!("{} is no kind of request", at.place.show(name)))
                .label("expected validate, connect, connected, disconnected, or a user event")
                .help(format!("did you mean `{near}`? A user event is `{spelt_out}`")),
        );
        return None;
    }
    if let Ok(kind) = RequestKind::parse(name) {
        return Some(kind);
    }
    context.push(
        Problem::new(at.place, format!("{} is no event", at.place.show(name)))
            .label("expected a letter, then letters, digits, `_`, `.` and `-`, at most 128"),
    );
    None
}

fn hub(context: &Context<'_>, at: &At<String>, on: Option<&At<Vec<At<String>>>>) -> Option<String> {
    let name = at.get()?;
    let items = on.and_then(At::get).into_iter().flatten();
    if let Some(validate) =
        items.into_iter().find(|item| item.get().is_some_and(|on| on == "validate"))
    {
        context.push(
            Problem::new(validate.place, "a validation does not name its hub")
                .label("so a rule of one hub takes none")
                .also(at.place, "of this hub only")
                .help("give validations a rule of their own, without `hub`"),
        );
    }
    Some(name.clone())
}

fn how_often(context: &Context<'_>, file: &RuleFile) -> HowOften {
    if let (Some(first), Some(chance)) = (&file.first, &file.probability) {
        context.push(
            Problem::new(chance.place, "a rule has `first` or `probability`, not both")
                .label("expected one of the two")
                .also(first.place, "and this"),
        );
    }
    if let Some(at) = &file.first
        && let Some(&Count(first)) = at.get()
    {
        if first == 0 {
            context.push(
                Problem::new(at.place, format!("`{}` cannot be 0", at.path))
                    .label("expected at least 1")
                    .help("leave the rule out"),
            );
        }
        return HowOften::First(first);
    }
    let Some((at, &Share(chance))) = file.probability.as_ref().and_then(|at| Some((at, at.get()?)))
    else {
        return HowOften::Always;
    };
    if chance <= 0.0 || chance >= 1.0 {
        context.push(
            Problem::new(at.place, format!("`{}` is out of range", at.path))
                .label("expected more than 0% and less than 100%")
                .help("for all of them, leave it out; for none, leave the rule out"),
        );
    }
    HowOften::Chance(chance)
}

fn answer(
    context: &Context<'_>,
    rule: &At<RuleFile>,
    file: &AnswerFile,
    on: Option<&[UpstreamOn]>,
) -> UpstreamAnswer {
    let delay = file.delay.as_ref().and_then(At::get);
    let delay =
        delay.map_or(AnswerDelay::NONE, |span| AnswerDelay { from: span.from, to: span.to });
    let broken = [
        ("reset", file.reset.as_ref().map(|at| at.place), AnswerWhat::Reset),
        ("close", file.close.as_ref().map(|at| at.place), AnswerWhat::Close),
    ];
    let mut broken =
        broken.into_iter().filter_map(|(name, place, what)| Some((name, place?, what)));
    if let Some((name, place, what)) = broken.next() {
        let others = parts_of_an_answer(file).into_iter().flatten();
        let other = broken.next().map(|(_, place, _)| place).into_iter().chain(others).next();
        if let Some(other) = other {
            context.push(
                Problem::new(other, format!("there is no answer to put this in: `{name}` is set"))
                    .label(format!("expected nothing beside `{name}` but `delay`"))
                    .also(place, "nothing is answered"),
            );
        }
        return UpstreamAnswer { delay, what };
    }
    let body = body(context, file, on);
    let status = status(context, file, &body);
    let response = UpstreamResponse {
        status,
        content_type: file.content_type.as_ref().and_then(|at| content_type(context, at, &body)),
        body,
        headers: headers(context, file),
        state: file.state.as_ref().and_then(|at| state(context, at, on)),
        origin: origin(context, rule, file, on),
    };
    UpstreamAnswer { delay, what: AnswerWhat::Respond(Box::new(response)) }
}

/// Where the parts of an answer stand.
fn parts_of_an_answer(file: &AnswerFile) -> [Option<Place>; 12] {
    [
        file.status.as_ref().map(|at| at.place),
        file.body.as_ref().map(|at| at.place),
        file.json.as_ref().map(|at| at.place),
        file.connect.as_ref().map(|at| at.place),
        file.echo.as_ref().map(|at| at.place),
        file.malformed.as_ref().map(|at| at.place),
        file.oversize.as_ref().map(|at| at.place),
        file.content_type.as_ref().map(|at| at.place),
        file.headers.as_ref().map(|at| at.place),
        file.state.as_ref().map(|at| at.place),
        file.origin.as_ref().map(|at| at.place),
        file.redirect.as_ref().map(|at| at.place),
    ]
}

fn body(context: &Context<'_>, file: &AnswerFile, on: Option<&[UpstreamOn]>) -> AnswerBody {
    let forms = [
        ("body", file.body.as_ref().map(|at| at.place)),
        ("json", file.json.as_ref().map(|at| at.place)),
        ("connect", file.connect.as_ref().map(|at| at.place)),
        ("echo", file.echo.as_ref().map(|at| at.place)),
        ("malformed", file.malformed.as_ref().map(|at| at.place)),
        ("oversize", file.oversize.as_ref().map(|at| at.place)),
    ];
    let mut there = forms.iter().filter_map(|(name, place)| Some((name, (*place)?)));
    if let (Some(first), Some(second)) = (there.next(), there.next()) {
        context.push(
            Problem::new(second.1, format!("the body is both `{}` and `{}`", first.0, second.0))
                .label("expected one body")
                .also(first.1, "and this"),
        );
    }
    if let Some(text) = file.body.as_ref().and_then(At::get) {
        return AnswerBody::Text(text.clone());
    }
    if let Some((at, text)) = file.json.as_ref().and_then(|at| Some((at, at.get()?))) {
        return json(context, at, text);
    }
    if let Some((at, grant)) = file.connect.as_ref().and_then(|at| Some((at, at.get()?))) {
        fits(context, at.place, on, Only::Connect);
        return AnswerBody::Connect(self::grant(grant));
    }
    if let Some(at) = &file.echo {
        fits(context, at.place, on, Only::UserEvents);
        return AnswerBody::Echo;
    }
    if file.malformed.is_some() {
        return AnswerBody::Malformed;
    }
    let Some((at, &Size(bytes))) = file.oversize.as_ref().and_then(|at| Some((at, at.get()?)))
    else {
        return AnswerBody::Empty;
    };
    if !(1..=BODY_BYTES_MAX).contains(&bytes) {
        context.push(
            Problem::new(at.place, format!("`{}` is out of range", at.path))
                .label("expected 1B to 1GiB for a body"),
        );
    }
    AnswerBody::Oversize(bytes)
}

fn json(context: &Context<'_>, at: &At<String>, text: &str) -> AnswerBody {
    if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
        let why = if at.place.hidden { "it is not JSON".to_owned() } else { error.to_string() };
        context.push(
            Problem::new(at.place, format!("`{}` is not JSON", at.path))
                .label(format!("expected JSON as a text: {why}"))
                .help("JSON that breaks off is `malformed = {}`; other text is `body`"),
        );
    }
    AnswerBody::Json(text.to_owned())
}

fn grant(file: &GrantFile) -> ConnectGrant {
    let text = |at: &Option<At<String>>| at.as_ref().and_then(|at| at.get().cloned());
    let texts = |at: &Option<At<Vec<At<String>>>>| {
        let items = at.as_ref()?.get()?;
        Some(items.iter().filter_map(|item| item.get().cloned()).collect())
    };
    ConnectGrant {
        user: text(&file.user),
        groups: texts(&file.groups),
        roles: texts(&file.roles),
        subprotocol: text(&file.subprotocol),
    }
}

/// The only requests that something is for.
#[derive(Clone, Copy)]
enum Only {
    Connect,
    UserEvents,
}

/// Checks that a rule takes only requests that a body is for.
fn fits(context: &Context<'_>, place: Place, on: Option<&[UpstreamOn]>, only: Only) {
    let is_meant = |on: &UpstreamOn| match only {
        Only::Connect => {
            *on == UpstreamOn::Kind(RequestKind::Event(Event::System(SystemEvent::Connect)))
        }
        Only::UserEvents => match on {
            UpstreamOn::EveryUserEvent => true,
            UpstreamOn::Kind(kind) => UpstreamOn::EveryUserEvent.takes(kind),
        },
    };
    if on.is_none_or(|on| !on.is_empty() && on.iter().all(is_meant)) {
        return;
    }
    let (what, wanted) = match only {
        Only::Connect => ("this body answers `connect` only", "on = [\"connect\"]"),
        Only::UserEvents => ("only user events can be sent back", "on = [\"*\"]"),
    };
    context.push(
        Problem::new(place, what)
            .label("but this rule takes other requests too")
            .help(format!("say so in the rule: {wanted}")),
    );
}

fn status(context: &Context<'_>, file: &AnswerFile, body: &AnswerBody) -> Option<u16> {
    let redirects = file.redirect.is_some();
    let Some((at, &Count(status))) = file.status.as_ref().and_then(|at| Some((at, at.get()?)))
    else {
        return redirects.then_some(REDIRECT);
    };
    let problem = if !(200..=599).contains(&status) {
        Some("expected 200 to 599, the status of a whole answer")
    } else if redirects && !(300..=399).contains(&status) {
        Some("expected 300 to 399 beside `redirect`")
    } else if [204, 205, 304].contains(&status) && *body != AnswerBody::Empty {
        Some("expected another status: an answer of this one has no body")
    } else {
        None
    };
    if let Some(expected) = problem {
        context.push(
            Problem::new(at.place, format!("`{}` cannot be {status}", at.path)).label(expected),
        );
    }
    u16::try_from(status).ok()
}

/// A text that can be the value of a header; noted when it cannot.
fn value(context: &Context<'_>, at: &At<String>) -> Option<String> {
    let text = at.get()?;
    let is_visible = text.chars().all(|c| c.is_ascii_graphic() || c == ' ');
    if !is_visible || HeaderValue::from_str(text).is_err() {
        context.push(
            Problem::new(at.place, format!("`{}` cannot stand in a header", at.path))
                .label("expected visible ASCII characters and blanks"),
        );
    }
    Some(text.clone())
}

fn content_type(context: &Context<'_>, at: &At<String>, body: &AnswerBody) -> Option<String> {
    if *body == AnswerBody::Empty {
        context.push(
            Problem::new(at.place, "there is no body for this content type")
                .label("expected a body beside it, such as `body = \"…\"`"),
        );
    }
    value(context, at)
}

fn headers(context: &Context<'_>, file: &AnswerFile) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    for (name, text) in file.headers.as_ref().and_then(At::get).map_or(&[][..], |all| &all.0) {
        let Some(known) = name.get() else { continue };
        let lower = known.to_ascii_lowercase();
        let key = WITH_A_KEY.iter().find(|(header, _)| *header == lower).map(|(_, key)| *key);
        let wrong = if let Some(key) = key {
            Some(format!("expected it as a key of the answer: {key} = …"))
        } else if OF_HTTP.contains(&lower.as_str()) {
            Some("expected another header: HTTP sets this one itself".to_owned())
        } else if HeaderName::from_bytes(lower.as_bytes()).is_err() {
            Some("expected letters, digits and `-`".to_owned())
        } else {
            None
        };
        if let Some(expected) = wrong {
            context.push(
                Problem::new(name.place, format!("`{known}` cannot stand among the headers"))
                    .label(expected),
            );
        }
        headers.extend(value(context, text).map(|text| (lower, text)));
    }
    let location = file.redirect.as_ref().and_then(|at| value(context, at));
    headers.extend(location.map(|location| ("location".to_owned(), location)));
    headers
}

fn state(context: &Context<'_>, at: &At<String>, on: Option<&[UpstreamOn]>) -> Option<String> {
    let is_validate = |on: &UpstreamOn| *on == UpstreamOn::Kind(RequestKind::Validate);
    if on.is_some_and(|on| !on.is_empty() && on.iter().all(is_validate)) {
        context.push(
            Problem::new(at.place, "a validation has no connection whose state it could set")
                .label("expected it in a rule for events"),
        );
    }
    value(context, at)
}

fn origin(
    context: &Context<'_>,
    rule: &At<RuleFile>,
    file: &AnswerFile,
    on: Option<&[UpstreamOn]>,
) -> AllowedOrigin {
    let Some(at) = &file.origin else { return AllowedOrigin::default() };
    let of_a_hub = rule.get().is_some_and(|rule| rule.hub.is_some());
    let takes_validations = |on: &[UpstreamOn]| match on {
        [] => !of_a_hub,
        kinds => kinds.contains(&UpstreamOn::Kind(RequestKind::Validate)),
    };
    if !on.is_none_or(takes_validations) {
        context.push(
            Problem::new(at.place, "only validations are answered with origins")
                .label("but this rule takes none")
                .help("give validations a rule of their own: on = [\"validate\"]"),
        );
    }
    let given = |at: &At<Vec<At<String>>>| {
        let items = at.get().map_or(&[][..], Vec::as_slice);
        if items.is_empty() && at.get().is_some() {
            context.push(
                Problem::new(at.place, format!("`{}` is empty", at.path))
                    .label("expected at least one host")
                    .help("without the header it is origin = \"missing\""),
            );
        }
        items.iter().filter_map(|item| value(context, item)).collect()
    };
    match at.get() {
        None | Some(OriginFile::Asked) => AllowedOrigin::Asked,
        Some(OriginFile::Any) => AllowedOrigin::Any,
        Some(OriginFile::Missing) => AllowedOrigin::Missing,
        Some(OriginFile::Wrong) => AllowedOrigin::Wrong,
        Some(OriginFile::Lines(hosts)) => AllowedOrigin::Lines(given(hosts)),
        Some(OriginFile::List(hosts)) => AllowedOrigin::List(given(hosts)),
    }
}
