//! Abuse protection (service-side facts, 2.2).

use bytes::Bytes;
use http::Method;

use super::ask::{Asked, Question};
use super::fault::{Fault, Subject};
use super::finding::{CheckName, Exchange, Finding, Guide, Outcome};
use super::{Checker, Told, shown_time};
use crate::protocol::webhook::WebhookUrl;
use crate::protocol::webhook::answer::allowed_origins;
use crate::protocol::webhook::request::validation_headers;

impl<T: FnMut(Told<'_>)> Checker<'_, T> {
    /// Asks whether events may be sent, as the service does and as emulators do.
    pub(super) async fn validate(&mut self) {
        let url = self.options.url.fill_for_validation(&self.options.hub);
        let origin = self.options.origin.clone();
        let asked = self.validation(&url, &origin, Method::OPTIONS).await;
        let is_missing = matches!(&asked.outcome, Ok(answer) if answer.status == 404);
        if is_missing {
            let again = self.validation(&url, &origin, Method::GET).await;
            match judge(&again, &origin) {
                None => {
                    let what = "OPTIONS was answered 404, and the GET that follows it grants";
                    let finding = Finding::new(CheckName::Validation, Outcome::Pass, what);
                    self.found(finding.with(asked.exchange).with(again.exchange));
                }
                // The GET's 404 says no more than the first.
                Some(Fault::NotFound) => {
                    self.refused(&url, Fault::NotFound, vec![asked.exchange, again.exchange]);
                }
                Some(fault) => {
                    self.refused(&url, fault, vec![asked.exchange, again.exchange]);
                }
            }
        } else {
            match judge(&asked, &origin) {
                None => self.granted(asked),
                Some(fault) => self.refused(&url, fault, vec![asked.exchange]),
            }
        }
        self.with_port(&url).await;
    }

    fn granted(&mut self, asked: Asked) {
        let origins = asked.outcome.as_ref().map(|answer| allowed_origins(&answer.headers));
        let origins = origins.unwrap_or_default().join(" and ");
        let took = shown_time(asked.exchange.took);
        let what = format!("grants `{origins}` in {took}");
        self.found(Finding::new(CheckName::Validation, Outcome::Pass, what).with(asked.exchange));
    }

    fn refused(&mut self, url: &WebhookUrl, fault: Fault, exchanges: Vec<Exchange>) {
        self.failed(CheckName::Validation, fault, &Subject::Validation(url), exchanges);
    }

    /// Emulators have ports; the service has none, so that nothing fails here.
    async fn with_port(&mut self, url: &WebhookUrl) {
        let check = CheckName::OriginWithPort;
        let Some(origin) = self.options.origin_with_port.clone() else {
            self.skipped(check, "the hub's endpoint has no port of its own");
            return;
        };
        if self.faults.iter().any(|(check, _)| *check == CheckName::Validation) {
            self.skipped(check, "the validation fails anyway");
            return;
        }
        let asked = self.validation(url, &origin, Method::OPTIONS).await;
        let finding = match judge(&asked, &origin) {
            None => Finding::new(check, Outcome::Pass, format!("grants `{origin}` too")),
            Some(fault) => {
                let what = format!("of `{origin}`: {}", fault.what());
                Finding::new(check, Outcome::Warn, what)
                    .guided(Guide::MissingAllowedOrigin)
                    .changed(format!(
                        "allow `{origin}` as well as `{}` if a hub on a port of its own is to send \
                         events here; the service never names a port",
                        self.options.origin
                    ))
            }
        };
        self.found(finding.with(asked.exchange));
    }

    async fn validation(&self, url: &WebhookUrl, origin: &str, method: Method) -> Asked {
        // What cannot stand in a header is refused before any check.
        let headers = validation_headers(origin).unwrap_or_default();
        let question = Question { method, url: url.clone(), headers, body: Bytes::new() };
        self.asker.ask(&question).await
    }
}

fn judge(asked: &Asked, origin: &str) -> Option<Fault> {
    match &asked.outcome {
        Ok(answer) => Fault::of_validation(answer, origin),
        Err(error) => Some(Fault::of_error(error)),
    }
}
