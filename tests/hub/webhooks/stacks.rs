//! The two stacks of the troubleshooting guide that cannot run here, replayed: what a hub makes of
//! their answers, and what its clients see.

use std::rc::Rc;

use serde::Deserialize;
use squall::protocol::Subprotocol;
use squall::protocol::token::AccessKeys;
use squall::protocol::webhook::{SystemEvent, verify_signature};
use squall::secret::Secret;

use super::kit::{Asked, Handler, Reply, World, handler, settings, world};
use crate::kit::{PRIMARY, Seen};

const ASP_NET_CORE: &str = include_str!("stacks/aspnetcore.toml");
const FUNCTIONS: &str = include_str!("stacks/functions.toml");

/// App Key of the functions.
const CODE: &str = "an-app-key";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stack {
    exchange: Vec<Exchange>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exchange {
    when: When,
    answer: Answer,
}

/// What a request must be like; what is left out may be anything.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct When {
    method: Option<String>,
    hub: Option<String>,
    event: Option<String>,
    body: Option<String>,
    origin: Option<Judged>,
    signature: Option<Judged>,
    code: Option<Judged>,
}

/// Against what the application is configured with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Judged {
    Mine,
    Wrong,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    status: u16,
    #[serde(default)]
    headers: Vec<String>,
    #[serde(default)]
    body: String,
}

/// What an application is configured with.
#[derive(Clone, Copy)]
struct Application {
    stack: &'static str,
    /// Host of the resource whose events it takes.
    host: &'static str,
    key: &'static str,
}

impl Application {
    const fn rightly(stack: &'static str) -> Self {
        Self { stack, host: "hub", key: PRIMARY }
    }

    fn start(self, app: &Handler) {
        let stack: Stack = toml::from_str(self.stack).unwrap();
        app.does(move |asked| {
            let found = stack.exchange.iter().find(|one| self.holds(&one.when, asked));
            let Answer { status, headers, body } = &found.expect("an exchange for it").answer;
            let headers = headers.iter();
            let reply = headers.fold(Reply::status(*status), |reply, line| reply.header(line));
            match reply {
                Reply::With(status, headers, _, after) => {
                    Reply::With(status, headers, body.clone().into_bytes(), after)
                }
                Reply::HangUp => reply,
            }
        });
    }

    fn holds(self, when: &When, asked: &Asked) -> bool {
        let judged = |is_mine| if is_mine { Judged::Mine } else { Judged::Wrong };
        let keys = AccessKeys { primary: Secret::new(self.key), secondary: None };
        let id = asked.header("ce-connectionid");
        let signature = || verify_signature(&keys, id, [asked.header("ce-signature")]);
        let (method, url) = asked.line().split_once(' ').unwrap();
        let code = url.split_once("code=").map(|(_, code)| code);
        when.method.as_ref().is_none_or(|wanted| wanted == method)
            && when.hub.as_ref().is_none_or(|hub| hub == asked.header("ce-hub"))
            && when.event.as_ref().is_none_or(|event| event == asked.event())
            && when.body.as_ref().is_none_or(|body| body.as_bytes() == asked.body)
            && when.origin.is_none_or(|origin| {
                origin == judged(asked.header("webhook-request-origin") == self.host)
            })
            && when.signature.is_none_or(|wanted| wanted == judged(signature()))
            && when.code.is_none_or(|wanted| wanted == judged(code == Some(CODE)))
    }
}

/// A hub whose handler has this URL, and the application behind it.
fn with(application: Application, url: &str, test: impl AsyncFnOnce(&World, &Handler)) {
    let mut settings = settings();
    settings.events.handlers = vec![handler(url, "*", &SystemEvent::ALL)];
    world(settings, async |world, app| {
        application.start(app);
        test(world, app).await;
    });
}

const ASP_NET_CORE_URL: &str = "http://app/eventhandler";
const FUNCTIONS_URL: &str = "http://app/runtime/webhooks/webpubsub?code=an-app-key";

/// Both stacks, well configured, and where they are.
fn both() -> [(Application, &'static str, &'static str); 2] {
    [
        (Application::rightly(ASP_NET_CORE), ASP_NET_CORE_URL, "asp-user"),
        (Application::rightly(FUNCTIONS), FUNCTIONS_URL, "function-user"),
    ]
}

/// What a client of a hub is refused with.
async fn refused(world: &World, hub: &str) -> (u16, String) {
    let mut claims = world.claims("a");
    claims.audience = format!("http://hub:8080/client/hubs/{hub}");
    let answer = world.try_client_of(hub, &claims, Subprotocol::Simple, "").await;
    answer.map(drop).expect_err("refused")
}

/// Names and messages in the log: all the same one.
async fn logged(world: &World) -> (String, String) {
    let mut failed = world.failed().await;
    failed.dedup();
    assert_eq!(failed.len(), 1, "{failed:?}");
    failed.remove(0)
}

fn unexpected(hub: &str, status: u16) -> (String, String) {
    let message = format!(
        "Sending message during operation hub:{hub},event:connect,type:sys,category:connections,\
         requestType:Connect got unexpected response with status code {status}."
    );
    ("HttpHandlerUnexpectedResponse".to_owned(), message)
}

#[test]
fn both_stacks_carry_a_connection_from_its_begin_to_its_end() {
    for (application, url, user) in both() {
        with(application, url, async |world, app| {
            let mut client = world.simple("u").await;
            client.say("hello").await;
            assert_eq!(client.text().await, "[SYSTEM] ack");
            client.say("again").await;
            assert_eq!(client.text().await, "[SYSTEM] ack");
            client.leave().await;
            let asked = app.until(6).await;
            let of = |event| Rc::new(asked.iter().find(|one| one.event() == event).unwrap());
            assert_eq!(of("message").header("ce-userid"), user);
            // {"count":1}, then {"count":2}, in Base64: replayed as it came.
            assert_eq!(of("connected").header("ce-connectionstate"), "eyJjb3VudCI6MX0=");
            assert_eq!(of("disconnected").header("ce-connectionstate"), "eyJjb3VudCI6Mn0=");
            assert!(world.failed().await.is_empty());
        });
    }
}

#[test]
fn an_application_of_another_resource_refuses_the_validation() {
    for (application, url, _) in both() {
        let application = Application { host: "another.webpubsub.azure.com", ..application };
        with(application, url, async |world, app| {
            assert_eq!(refused(world, "chat").await, (500, String::new()));
            let (path, _) = url.split_once('?').unwrap_or((url, ""));
            let message = format!("Abuse protection for '{path}' failed: 400.");
            let name = "AbuseProtectionResponseInvalidStatusCode".to_owned();
            assert_eq!(logged(world).await, (name, message));
            assert_eq!(app.story(), ["OPTIONS"]);
        });
    }
}

#[test]
fn an_application_with_another_key_refuses_the_client() {
    for (application, url, _) in both() {
        let application =
            Application { key: "an older key of the resource, or none", ..application };
        with(application, url, async |world, app| {
            let words = if url == FUNCTIONS_URL { "" } else { "Signature validation failed." };
            assert_eq!(refused(world, "chat").await, (401, words.to_owned()));
            assert_eq!(logged(world).await, unexpected("chat", 401));
            assert_eq!(app.story(), ["OPTIONS", "connect"], "a 401 is not asked for again");
        });
    }
}

#[test]
fn what_throws_on_a_message_ends_a_simple_client() {
    for (application, url, _) in both() {
        with(application, url, async |world, app| {
            let mut client = world.simple("u").await;
            client.say("throw").await;
            let Seen::Close(code, _) = client.heard().await else { panic!("a close frame") };
            assert_eq!(code, Some(1011));
            let tries = app.story().into_iter().filter(|event| event == "message").count();
            assert_eq!(tries, 4, "a 500 is asked for again");
            client.abort();
        });
    }
}

#[test]
fn an_older_asp_net_core_denies_the_target_server_in_the_words_of_the_guide() {
    with(Application::rightly(ASP_NET_CORE), ASP_NET_CORE_URL, async |world, _| {
        let told = "Sending message during operation handshake got unexpected response with \
                    status code 500. Detail: Get error from upstream: 'Request is denied as target \
                    server is invalid'";
        assert_eq!(refused(world, "old").await, (500, told.to_owned()));
        let (name, _) = unexpected("old", 500);
        let failed = world.failed().await;
        assert!(failed.iter().all(|(failed, _)| *failed == name), "{failed:?}");
    });
}

#[test]
fn a_hub_that_nobody_registered_is_400_or_404_by_stack() {
    for (application, url, _) in both() {
        let (status, words) = match url {
            FUNCTIONS_URL => (404, ""),
            _ => (400, "Hub is not registered."),
        };
        with(application, url, async |world, _| {
            assert_eq!(refused(world, "unknown").await, (status, words.to_owned()));
            assert_eq!(logged(world).await, unexpected("unknown", status));
        });
    }
}

#[test]
fn a_function_without_its_app_key_in_the_url_is_401_to_the_validation() {
    for url in ["http://app/runtime/webhooks/webpubsub", "http://app/x?code=another-app-key"] {
        with(Application::rightly(FUNCTIONS), url, async |world, app| {
            assert_eq!(refused(world, "chat").await, (500, String::new()));
            let (path, _) = url.split_once('?').unwrap_or((url, ""));
            let message = format!("Abuse protection for '{path}' failed: 401.");
            let name = "AbuseProtectionResponseInvalidStatusCode".to_owned();
            assert_eq!(logged(world).await, (name, message));
            assert_eq!(app.story(), ["OPTIONS"], "no event goes where none is wanted");
        });
    }
}
