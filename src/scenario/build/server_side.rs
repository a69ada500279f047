//! `[[expect_log]]` and `[expect_upstream]`: what the hub's log and the application server must
//! have seen.

use super::super::at::Named;
use super::super::file::{LogExpectFile, ScenarioFile};
use super::super::plan::{LogExpectation, Quantity, RequestExpectation, ServerSide};
use super::super::problem::{Place, Problem};
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
    let count = quantity(context, &file.count, grows_of_line(event));
    Some(LogExpectation { event, message, count: count?, path: at.path.clone() })
}

fn requests(
    context: &Context<'_>,
    file: &ScenarioFile,
    at: &At<Named<Amount>>,
) -> Vec<RequestExpectation> {
    if file.upstream.is_none() {
        context.push(
            Problem::new(at.place, "there is no application server that counts requests")
                .label("expected an `[upstream]` beside it")
                .help("add one: with no keys it is a healthy server"),
        );
    }
    let mut requests: Vec<RequestExpectation> = Vec::new();
    let mut places: Vec<Place> = Vec::new();
    for (name, amount) in at.get().into_iter().flat_map(|named| &named.0) {
        let kind = request_kind(context, name).map(as_counted);
        let grows = match &kind {
            Some(RequestKind::Validate) => Grows::No,
            _ => Grows::WithClients,
        };
        let (Some(kind), Some(count)) = (kind, quantity(context, amount, grows)) else { continue };
        if let Some(other) = requests.iter().position(|other| other.kind == kind) {
            context.push(
                Problem::new(name.place, format!("requests of `{kind}` are counted twice"))
                    .label("expected each event once, in any case")
                    .also(places[other], "the other"),
            );
        }
        places.push(name.place);
        requests.push(RequestExpectation { kind, count, path: amount.path.clone() });
    }
    requests
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
fn quantity(context: &Context<'_>, at: &At<Amount>, grows: Grows) -> Option<Quantity> {
    let amount = *at.get()?;
    let is_absolute =
        |bound: Option<Bound>| matches!(bound, Some(Bound::Count(count)) if count > 0);
    let rescaled = context.roster.0.iter().find(|member| member.is_rescaled());
    if let Some(member) = rescaled.filter(|_| grows == Grows::WithClients)
        && (is_absolute(amount.at_least) || is_absolute(amount.at_most))
    {
        let written = member.written.unwrap_or_default();
        context.push(
            Problem::new(
                at.place,
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
            Problem::new(at.place, "no number is in this range")
                .label(format!("at least {}, at most {}", quantity.at_least, quantity.at_most)),
        );
        return None;
    }
    Some(quantity)
}
