//! `[[hub.event_handlers]]` and `[hub.webhooks]`.

use std::collections::BTreeSet;

use super::super::file::{
    EventHandlerFile, EventListenerFile, HubFile, UpstreamFile, ValidationFile, WebhooksFile,
};
use super::super::problem::{Place, Problem};
use super::super::units::{Lasting, Size};
use super::{At, Context};
use crate::protocol::Endpoint;
use crate::protocol::control::UPSTREAM_HOST;
use crate::protocol::webhook::listener::LISTENERS_MAX;
use crate::protocol::webhook::{
    EventHandler, EventListener, EventSettings, SystemEvent, UrlTemplate, UserEventPattern,
    WebhookPolicy,
};

/// Retries of one event, at most.
const RETRIES_MAX: usize = 10;
/// Every user event.
const EVERY: &str = "*";

/// Puts what is written over what holds.
pub(super) fn apply(context: &Context<'_>, file: &HubFile, settings: &mut EventSettings) {
    if let Some(handlers) = file.event_handlers.as_ref().and_then(At::get) {
        settings.handlers = handlers.iter().filter_map(|at| handler(context, at.get()?)).collect();
    }
    if let Some(at) = &file.event_listeners
        && let Some(written) = at.get()
    {
        settings.listeners = listeners(context, at.place, written);
    }
    if let Some(webhooks) = file.webhooks.as_ref().and_then(At::get) {
        settings.origin = webhooks.origin.as_ref().and_then(|at| origin(context, at));
        apply_policy(context, webhooks, &mut settings.policy);
    }
}

/// Checks that somebody stands behind the host that stands for the scenario's own handler.
pub(super) fn check_upstream(
    context: &Context<'_>,
    file: Option<&At<HubFile>>,
    upstream: Option<&At<UpstreamFile>>,
) {
    let handlers = file.and_then(At::get).and_then(|file| file.event_handlers.as_ref());
    let handlers = handlers.and_then(At::get).map_or(&[][..], Vec::as_slice);
    let urls = handlers.iter().filter_map(|at| Some(&at.get()?.url));
    for url in urls.filter(|_| upstream.is_none()) {
        let template = url.get().and_then(|text| UrlTemplate::parse(text).ok());
        let host = template.map(|template| template.endpoint().host.to_ascii_lowercase());
        if host.as_deref() == Some(UPSTREAM_HOST) {
            context.push(
                Problem::new(url.place, format!("nobody answers at the host `{UPSTREAM_HOST}`"))
                    .label("it stands for `[upstream]`, which this scenario does not have")
                    .help("write `[upstream]`, even an empty one, or name another host"),
            );
        }
    }
}

fn handler(context: &Context<'_>, file: &EventHandlerFile) -> Option<EventHandler> {
    // The errors do not repeat what was written, which may hold a key.
    let read = |at: &At<String>, why: String| {
        context.push(Problem::new(at.place, format!("`{}` is not acceptable", at.path)).label(why));
    };
    let url = file.url.get().map(|text| UrlTemplate::parse(text));
    let url = url.and_then(|parsed| parsed.map_err(|why| read(&file.url, why)).ok());
    let user_events = user_events(context, file.user_events.as_ref());
    let system_events = system_events(context, file.system_events.as_ref());
    check_takes_something(
        context,
        (file.url.place, "this event handler"),
        file.user_events.as_ref(),
        &system_events,
    );
    Some(EventHandler { url: url?, user_events: user_events?, system_events })
}

fn listeners(
    context: &Context<'_>,
    place: Place,
    written: &[At<EventListenerFile>],
) -> Vec<EventListener> {
    if written.len() > LISTENERS_MAX {
        context.push(
            Problem::new(place, format!("{} event listeners are too many", written.len()))
                .label(format!("expected at most {LISTENERS_MAX}, as the service has it")),
        );
    }
    let mut names = BTreeSet::new();
    let listeners = written.iter().filter_map(At::get);
    let listeners = listeners.filter_map(|file| {
        if let Some(name) = file.name.get()
            && !names.insert(name)
        {
            context.push(
                Problem::new(file.name.place, format!("`{name}` stands here twice"))
                    .label("expected each event listener to have a name of its own"),
            );
        }
        listener(context, file)
    });
    listeners.collect()
}

fn listener(context: &Context<'_>, file: &EventListenerFile) -> Option<EventListener> {
    let user_events = user_events(context, file.user_events.as_ref());
    let system_events = system_events(context, file.system_events.as_ref());
    if let Some(at) = &file.system_events
        && system_events.contains(&SystemEvent::Connect)
    {
        context.push(
            Problem::new(at.place, "event listeners never hear of `connect`")
                .label("expected `connected` and `disconnected` at most")
                .help("only an event handler is asked about it, since it must answer"),
        );
    }
    check_takes_something(
        context,
        (file.name.place, "this event listener"),
        file.user_events.as_ref(),
        &system_events,
    );
    Some(EventListener { name: file.name.get()?.clone(), user_events: user_events?, system_events })
}

fn user_events(context: &Context<'_>, file: Option<&At<String>>) -> Option<UserEventPattern> {
    let Some(at) = file else { return UserEventPattern::parse(EVERY).ok() };
    match UserEventPattern::parse(at.get()?) {
        Ok(pattern) => Some(pattern),
        Err(why) => {
            let what = format!("`{}` is not acceptable", at.path);
            context.push(Problem::new(at.place, what).label(why));
            None
        }
    }
}

fn system_events(
    context: &Context<'_>,
    file: Option<&At<Vec<At<SystemEvent>>>>,
) -> BTreeSet<SystemEvent> {
    let mut system_events = BTreeSet::new();
    for at in file.and_then(At::get).map_or(&[][..], Vec::as_slice) {
        if let Some(&event) = at.get()
            && !system_events.insert(event)
        {
            context.push(
                Problem::new(at.place, format!("`{}` stands here twice", event.name()))
                    .label("expected each event once"),
            );
        }
    }
    system_events
}

fn check_takes_something(
    context: &Context<'_>,
    (place, who): (Place, &str),
    user_events: Option<&At<String>>,
    system_events: &BTreeSet<SystemEvent>,
) {
    let none = user_events.and_then(At::get).is_some_and(|text| text.trim().is_empty());
    if none && system_events.is_empty() {
        context.push(
            Problem::new(place, format!("{who} takes no event"))
                .label("it has neither user events nor system events")
                .help("give it `user_events` or `system_events`, or leave it out"),
        );
    }
}

fn origin(context: &Context<'_>, at: &At<String>) -> Option<String> {
    let text = at.get()?;
    let is_host = !text.contains("://") && Endpoint::parse(text).is_ok();
    if !is_host || text.ends_with('/') {
        context.push(
            Problem::new(at.place, format!("`{}` is not a host", at.path))
                .label("expected a host without scheme and path: \"my-hub.example:8080\""),
        );
        return None;
    }
    Some(text.clone())
}

fn apply_policy(context: &Context<'_>, file: &WebhooksFile, policy: &mut WebhookPolicy) {
    if let Some(at) = &file.retry_after
        && let Some(waits) = at.get()
    {
        if waits.len() > RETRIES_MAX {
            context.push(
                Problem::new(at.place, format!("`{}` has {} waits", at.path, waits.len()))
                    .label(format!("expected at most {RETRIES_MAX}")),
            );
        }
        policy.retry_after =
            waits.iter().filter_map(|at| at.get().map(|&Lasting(wait)| wait)).collect();
    }
    if let Some(within) = file.within.as_ref().and_then(|at| context.positive(at)) {
        policy.within = within;
    }
    if let Some(at) = &file.answer
        && let Some(&Size(bytes)) = at.get()
    {
        let most = WebhookPolicy::default().answer_bytes;
        if bytes > most {
            context.push(
                Problem::new(at.place, format!("`{}` is too large", at.path))
                    .label("expected at most 16MiB: no handler may answer more"),
            );
        }
        policy.answer_bytes = bytes.min(most);
    }
    if let Some(failed) = file.failed_user_event.as_ref().and_then(At::get) {
        policy.failed_user_event = *failed;
    }
    if let Some(body) = file.refusal_body.as_ref().and_then(At::get) {
        policy.refusal_body = *body;
    }
    if let Some(validation) = file.validation.as_ref().and_then(At::get) {
        apply_validation(context, validation, policy);
    }
}

fn apply_validation(context: &Context<'_>, file: &ValidationFile, policy: &mut WebhookPolicy) {
    for (written, time) in [
        (&file.within, &mut policy.validation_within),
        (&file.good_for, &mut policy.validation_good_for),
        (&file.retry_first, &mut policy.validation_retry_first),
        (&file.retry_max, &mut policy.validation_retry_max),
    ] {
        if let Some(given) = written.as_ref().and_then(|at| context.positive(at)) {
            *time = given;
        }
    }
    let (first, most) = (policy.validation_retry_first, policy.validation_retry_max);
    let place = file.retry_max.as_ref().or(file.retry_first.as_ref()).map(|at| at.place);
    if let Some(place) = place.filter(|_| most < first) {
        context.push(
            Problem::new(place, "the longest wait is shorter than the first")
                .label(format!("first {first:?}, longest {most:?}"))
                .help("set both"),
        );
    }
}
