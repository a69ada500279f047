//! `[[expect_log]]` and `[expect_upstream]`: what the hub's log and the application server must
//! have seen.

use super::super::at::Named;
use super::super::file::{AskedFile, LogExpectFile, ScenarioFile};
use super::super::plan::{LogExpectation, Quantity, RequestExpectation, ServerSide, UpstreamCount};
use super::super::problem::{Place, Problem, one_of, suggestion};
use super::super::units::{Amount, Bound};
use super::expect::{lower, upper};
use super::upstream::request_kind;
use super::{At, Context};
use crate::protocol::webhook::{RequestKind, WebhookFailure};

/// What stands in a message for the hub's name.
const HUB: &str = "{hub}";

/// Everything that is expected, in file order.
pub(super) fn all(context: &Context<'_>, file: &ScenarioFile) -> ServerSide {
    let hub_name = file.hub_name.as_ref().and_then(At::get).map_or(super::HUB_NAME, String::as_str);
    let lines = file.expect_log.as_ref().and_then(At::get);
    let lines = lines.into_iter().flatten().filter_map(|at| log(context, hub_name, at));
    let asked = file.expect_upstream.as_ref();
    ServerSide {
        log: lines.collect(),
        requests: asked.map(|at| requests(context, file, at)).unwrap_or_default(),
    }
}

fn log(context: &Context<'_>, hub_name: &str, at: &At<LogExpectFile>) -> Option<LogExpectation> {
    let file = at.get()?;
    let message = file.message.as_ref().map(|message| {
        let text = message.get().cloned().unwrap_or_default();
        if message.get().is_some_and(String::is_empty) {
            context.push(
                Problem::new(message.place, format!("`{}` is empty", message.path))
                    .label("expected the whole message")
                    .help("leave it out if any message will do"),
            );
        }
        text.replace(HUB, hub_name)
    });
    let event = *file.event.get()?;
    let count = quantity(context, *file.count.get()?, file.count.place, grows_of_line(event));
    Some(LogExpectation { event, message, count: count?, path: at.path.clone() })
}

fn requests(
    context: &Context<'_>,
    file: &ScenarioFile,
    at: &At<Named<AskedFile>>,
) -> Vec<RequestExpectation> {
    let mut requests: Vec<RequestExpectation> = Vec::new();
    let mut places: Vec<Place> = Vec::new();
    let mut needs_server = false;
    for (name, asked) in at.get().into_iter().flat_map(|named| &named.0) {
        let (Some(kind), Some(asked_of)) =
            (request_kind(context, name).map(as_counted), asked.get())
        else {
            continue;
        };
        if let Some(other) = requests.iter().position(|other| other.kind == kind) {
            context.push(
                Problem::new(name.place, format!("requests of `{kind}` are counted twice"))
                    .label("expected each event once, in any case")
                    .also(places[other], "the other"),
            );
        }
        let counts: Vec<(UpstreamCount, Amount, Place, &str)> = match asked_of {
            AskedFile::Received(amount) => {
                vec![(UpstreamCount::Received, *amount, asked.place, &asked.path)]
            }
            AskedFile::Counts(counts) => counts
                .iter()
                .filter_map(|(name, amount)| {
                    let counted = counted(context, &kind, name)?;
                    Some((counted, *amount.get()?, amount.place, amount.path.as_str()))
                })
                .collect(),
        };
        let grows = match &kind {
            RequestKind::Validate => Grows::No,
            RequestKind::Event(_) => Grows::WithClients,
        };
        for (counted, amount, place, path) in counts {
            needs_server |= counted.is_the_servers();
            let Some(count) = quantity(context, amount, place, grows) else { continue };
            places.push(name.place);
            let (kind, path) = (kind.clone(), path.to_owned());
            requests.push(RequestExpectation { kind, counted, count, path });
        }
    }
    if needs_server && file.upstream.is_none() {
        context.push(
            Problem::new(at.place, "there is no application server that counts requests")
                .label("expected an `[upstream]` beside it")
                .help("add one: with no keys it is a healthy server"),
        );
    }
    requests
}

/// What a key counts.
fn counted(context: &Context<'_>, kind: &RequestKind, name: &At<String>) -> Option<UpstreamCount> {
    let key = name.get()?;
    let keys = || UpstreamCount::ALL.into_iter().map(UpstreamCount::key);
    let Some(found) = UpstreamCount::ALL.into_iter().find(|count| count.key() == key) else {
        context.push(
            Problem::new(name.place, format!("{} is no count", name.place.show(key)))
                .label(format!("expected {}", one_of(keys())))
                .maybe_help(suggestion(key, keys())),
        );
        return None;
    };
    if *kind == RequestKind::Validate && found == UpstreamCount::RequestsPerSecond {
        context.push(
            Problem::new(name.place, "the hub's validations are not counted by the second")
                .label("expected `requests`: there are few of them"),
        );
        return None;
    }
    Some(found)
}

/// The server counts user events in lower case.
fn as_counted(kind: RequestKind) -> RequestKind {
    let lower = kind.to_string().to_ascii_lowercase();
    RequestKind::parse(&lower).unwrap_or(kind)
}

/// Whether there is more of something when there are more clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grows {
    WithClients,
    /// A hub asks once for all of its clients.
    No,
}

const fn grows_of_line(event: WebhookFailure) -> Grows {
    match event {
        WebhookFailure::AbuseProtectionResponseInvalidStatusCode
        | WebhookFailure::AbuseProtectionResponseMissingAllowedOrigin
        | WebhookFailure::AbuseProtectionResponseFailed => Grows::No,
        WebhookFailure::HttpHandlerUnexpectedResponse
        | WebhookFailure::EventHandlerNotFound
        | WebhookFailure::HttpHandlerRequestFailed
        | WebhookFailure::EventLost => Grows::WithClients,
    }
}

/// A quantity; shares are of the clients of all populations together.
fn quantity(context: &Context<'_>, amount: Amount, place: Place, grows: Grows) -> Option<Quantity> {
    let is_absolute =
        |bound: Option<Bound>| matches!(bound, Some(Bound::Count(count)) if count > 0);
    let rescaled = context.roster.0.iter().find(|member| member.is_rescaled());
    if let Some(member) = rescaled.filter(|_| grows == Grows::WithClients)
        && (is_absolute(amount.at_least) || is_absolute(amount.at_most))
    {
        let written = member.written.unwrap_or_default();
        context.push(
            Problem::new(
                place,
                format!(
                    "`{}` has {} clients now instead of {written}, but this is a count",
                    member.name, member.count
                ),
            )
            .label("expected a share of all clients, which scales: \"all\", \"15%\", \">=90%\"")
            .also(member.count_place, member.note("the count"))
            .help("or let the count be the point, and -n leave it alone: scaling = \"fixed\""),
        );
        return None;
    }
    let clients: u32 =
        context.roster.0.iter().fold(0, |sum, member| sum.saturating_add(member.count));
    let exact = amount.at_least == amount.at_most;
    let quantity = Quantity {
        at_least: amount.at_least.map_or(0, |bound| lower(bound, clients, exact)),
        at_most: amount.at_most.map_or(u64::MAX, |bound| upper(bound, clients, exact)),
    };
    if quantity.at_least > quantity.at_most {
        context.push(
            Problem::new(place, "no number is in this range")
                .label(format!("at least {}, at most {}", quantity.at_least, quantity.at_most)),
        );
        return None;
    }
    Some(quantity)
}
