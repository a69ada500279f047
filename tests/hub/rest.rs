//! The REST plane: who gets what, and what is refused.

use serde_json::{Value, json};
use squall::protocol::control::HubWire;
use squall::protocol::token::{Claims, sign};
use squall::protocol::{CloseCategory, rest::ErrorDetail};
use squall::secret::Secret;
use tokio_tungstenite::tungstenite::Message;

use crate::kit::{PRIMARY, SHORT, generous, with_hub};

const TEXT: &str = "text/plain";

#[test]
fn sends_reach_whom_they_name_in_their_own_form() {
    with_hub(generous(), async |hub| {
        let (mut alice, alice_id) = hub.member("alice", "room").await;
        let (mut bob, bob_id) = hub.member("bob", "room").await;
        let path = hub.client_path(&hub.claims("carol"), "");
        let mut carol = hub.connect(&path, None).await;
        let send = async |path: &str, kind: &str, body: &[u8]| {
            assert_eq!(hub.call("POST", path, kind, body).await.status, 202, "{path}");
        };

        send("/api/hubs/Chat/:send", TEXT, b"to all").await;
        let frame = r#"{"type":"message","from":"server","dataType":"text","data":"to all"}"#;
        assert_eq!((alice.text().await, bob.text().await), (frame.into(), frame.into()));
        assert_eq!(carol.text().await, "to all");

        let json = b"{ \"n\" : 1.50 }";
        send("/api/hubs/chat/groups/room/:send", "application/json", json).await;
        let frame = r#"{"type":"message","from":"server","dataType":"json","data":{"n":1.50}}"#;
        assert_eq!((alice.text().await, bob.text().await), (frame.into(), frame.into()));

        send("/api/hubs/chat/users/carol/:send", "application/json", json).await;
        assert_eq!(carol.text().await, r#"{"n":1.50}"#);
        send("/api/hubs/chat/users/carol/:send", "", b"\x01\xff").await;
        assert_eq!(carol.next().await, Message::binary(vec![1, 255]));

        send(
            &format!("/api/hubs/chat/connections/{bob_id}/:send"),
            "application/octet-stream",
            b"\x01",
        )
        .await;
        let frame = r#"{"type":"message","from":"server","dataType":"binary","data":"AQ=="}"#;
        assert_eq!(bob.text().await, frame);

        let but = format!("/api/hubs/chat/:send?excluded={alice_id}&excluded={bob_id}");
        send(&but, TEXT, b"x").await;
        assert_eq!(carol.text().await, "x");
        send("/api/hubs/chat/connections/nobody/:send?messageTtlSeconds=300", TEXT, b"x").await;
        send("/api/hubs/chat/groups/nobody/:send", TEXT, b"x").await;
        send("/api/hubs/other/:send", TEXT, b"x").await;
        alice.hears_nothing(SHORT).await;
        bob.hears_nothing(SHORT).await;
        carol.leave().await;
        alice.leave().await;
        bob.leave().await;
    });
}

#[test]
fn closes_reach_exactly_the_addressed_and_tell_the_reason() {
    with_hub(generous(), async |hub| {
        let (mut by_id, id) = hub.json("id").await;
        let (mut by_group, _) = hub.member("group", "room").await;
        let (mut by_user, _) = hub.json("user").await;
        let (mut spared, spared_id) = hub.member("spared", "room").await;
        let disconnected = |reason: &str| {
            let frame =
                format!(r#"{{"type":"system","event":"disconnected","message":"{reason}"}}"#);
            (Some((1000, String::new())), vec![frame])
        };
        let path = format!("/api/hubs/chat/connections/{id}?reason=duplicate%20sign-in");
        assert_eq!(hub.status("DELETE", &path).await, 204);
        assert_eq!(by_id.closed().await, disconnected("duplicate sign-in"));
        assert_eq!(hub.status("DELETE", &path).await, 204, "also when it is not there");

        let but = format!("?excluded={spared_id}&reason=r");
        let path = format!("/api/hubs/chat/groups/room/:closeConnections{but}");
        assert_eq!(hub.status("POST", &path).await, 204);
        assert_eq!(by_group.closed().await, disconnected("r"));
        let path = "/api/hubs/chat/users/user/:closeConnections";
        assert_eq!(hub.status("POST", path).await, 204);
        assert_eq!(
            by_user.closed().await,
            disconnected("Application server closed the connection")
        );
        spared.hears_nothing(SHORT).await;
        assert_eq!(hub.status("POST", "/api/hubs/other/:closeConnections").await, 204);
        spared.hears_nothing(SHORT).await;
        assert_eq!(hub.status("POST", "/api/hubs/chat/:closeConnections").await, 204);
        spared.closed().await;
        let wire = HubWire::HubClose { code: 1000, reason: String::new() };
        for end in hub.ends(4).await {
            assert_eq!((end.category, end.wire), (CloseCategory::ClosedByAppServer, wire.clone()));
        }
    });
}

#[test]
fn existence_and_membership_follow_the_calls() {
    with_hub(generous(), async |hub| {
        let (mut alice, id) = hub.json("a/b c").await;
        let user = "/api/hubs/chat/users/a%2Fb%20c";
        let one = format!("/api/hubs/chat/connections/{id}");
        for path in [user, &one] {
            assert_eq!(hub.status("HEAD", path).await, 200, "{path}");
        }
        for path in ["/api/hubs/chat/users/x", "/api/hubs/other/users/a%2Fb%20c"] {
            assert_eq!(hub.status("HEAD", path).await, 404, "{path}");
        }
        let group = "/api/hubs/chat/groups/g";
        let member = format!("{group}/connections/{id}");
        for (method, path, status, exists) in [
            ("PUT", member.clone(), 200, 200),
            ("PUT", member.clone(), 200, 200),
            ("DELETE", member.clone(), 204, 404),
            ("DELETE", member.clone(), 204, 404),
            ("PUT", format!("{user}/groups/g"), 200, 200),
            ("DELETE", format!("{user}/groups/g"), 204, 404),
            ("PUT", member.clone(), 200, 200),
            ("DELETE", format!("{user}/groups"), 204, 404),
            ("PUT", member.clone(), 200, 200),
            ("DELETE", format!("{one}/groups"), 204, 404),
            ("PUT", format!("{group}/connections/nobody"), 404, 404),
            ("PUT", "/api/hubs/chat/users/nobody/groups/g".into(), 404, 404),
        ] {
            assert_eq!(hub.status(method, &path).await, status, "{method} {path}");
            assert_eq!(hub.status("HEAD", group).await, exists, "after {method} {path}");
        }
        // Receiving needs no role: whom REST has joined gets what is sent.
        hub.status("PUT", &member).await;
        alice.say(r#"{"type":"sendToGroup","group":"g","dataType":"text","data":"x"}"#).await;
        assert_eq!(alice.json().await["data"], "x");
        alice.leave().await;
        assert_eq!(hub.status("HEAD", group).await, 404, "membership dies with the connection");
    });
}

#[test]
fn a_groups_connections_come_in_pages() {
    with_hub(generous(), async |hub| {
        let mut clients = Vec::new();
        let mut ids = Vec::new();
        for index in 0..5 {
            let (client, id) = hub.member(&format!("u{index}"), "room").await;
            clients.push(client);
            ids.push(id);
        }
        ids.sort();
        let base = "/api/hubs/chat/groups/room/connections?api-version=2024-12-01";
        let mut path = format!("{base}&maxpagesize=2&top=4");
        let mut pages = Vec::new();
        loop {
            let answer = hub.call("GET", &path, "", b"").await;
            assert_eq!(answer.status, 200);
            let page: Value = serde_json::from_slice(&answer.body).unwrap();
            pages.push(page["value"].as_array().unwrap().clone());
            let Some(next) = page["nextLink"].as_str() else { break };
            path = next.strip_prefix(&format!("http://{}", hub.address)).unwrap().to_owned();
            assert!(pages.len() < 9);
        }
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2]);
        let listed: Vec<_> = pages.concat();
        let listed: Vec<_> =
            listed.iter().map(|member| member["connectionId"].as_str().unwrap()).collect();
        assert_eq!(listed, ids[..4]);
        let all = hub.call("GET", base, "", b"").await;
        let all: Value = serde_json::from_slice(&all.body).unwrap();
        assert_eq!((all["value"].as_array().unwrap().len(), &all["nextLink"]), (5, &Value::Null));
        for bad in ["maxpagesize=0", "maxpagesize=201", "top=x", "continuationToken=%20"] {
            let answer = hub.call("GET", &format!("{base}&{bad}"), "", b"").await;
            let error: ErrorDetail = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(
                (answer.status.as_u16(), &*error.target),
                (400, bad.split('=').next().unwrap())
            );
        }
        for client in clients {
            client.leave().await;
        }
    });
}

/// Method, path, content type, body; status and target of the answer.
type Case<'a> = (&'a str, String, &'a str, &'a [u8], u16, &'a str);

#[test]
fn what_is_wrong_is_said_in_the_contracts_error_body() {
    with_hub(generous(), async |hub| {
        let all = "/api/hubs/chat/:send";
        let large = vec![b'x'; 1024 * 1024 + 1];
        let cases: [Case<'_>; 12] = [
            ("POST", format!("{all}?api-version=1999-01-01"), TEXT, b"x", 400, "api-version"),
            (
                "POST",
                format!("{all}?api-version=2024-12-01&api-version=2024-12-01"),
                TEXT,
                b"x",
                400,
                "api-version",
            ),
            ("POST", format!("{all}?filter=true"), TEXT, b"x", 400, "filter"),
            ("POST", format!("{all}?messageTtlSeconds=301"), TEXT, b"x", 400, "messageTtlSeconds"),
            ("POST", format!("{all}?messageTtlSeconds=1.5"), TEXT, b"x", 400, "messageTtlSeconds"),
            ("POST", all.into(), "application/json", b"{", 400, "Request"),
            ("POST", all.into(), TEXT, b"\xff", 400, "Request"),
            ("POST", all.into(), "text/html", b"x", 415, "Content-Type"),
            ("POST", all.into(), TEXT, &large, 400, "Request"),
            ("POST", "/api/hubs/chat/:nothing".into(), TEXT, b"x", 404, "Request"),
            ("GET", all.into(), "", b"", 405, "Request"),
            ("POST", "/api/hubs/chat/:generateToken".into(), "", b"", 501, "Request"),
        ];
        for (method, path, kind, body, status, target) in cases {
            let answer = hub.call(method, &path, kind, body).await;
            assert_eq!(answer.status.as_u16(), status, "{method} {path}");
            let error: ErrorDetail = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(error.target, target, "{method} {path}");
            assert_eq!(answer.headers["x-ms-error-code"], error.code.as_str());
            let versions = &answer.headers["api-supported-versions"];
            assert!(versions.to_str().unwrap().ends_with("2024-01-01, 2024-12-01"));
        }
    });
}

#[test]
fn tokens_are_for_one_url_and_either_key() {
    with_hub(generous(), async |hub| {
        let path = "/api/hubs/chat/groups/a%20b?api-version=2024-12-01";
        let call = async |audience: String, key: &str, expires_at: u64| {
            let claims = Claims { audience, expires_at, ..Claims::default() };
            let token = sign(&claims, &Secret::new(key));
            let request = squall::net::http::HttpRequest {
                method: http::Method::HEAD,
                path_and_query: path.to_owned(),
                headers: vec![(
                    http::header::AUTHORIZATION,
                    format!("bearer {}", token.expose()).parse().unwrap(),
                )],
                body: bytes::Bytes::new(),
            };
            hub.call_as(request).await.status.as_u16()
        };
        let soon = hub.now_s() + 60;
        let url = format!("http://{}/api/hubs/chat/groups/a%20b", hub.address);
        let query = "?api-version=2024-12-01";
        assert_eq!(call(format!("{url}{query}"), PRIMARY, soon).await, 404);
        assert_eq!(call(url.clone(), PRIMARY, soon).await, 404, "without the query");
        assert_eq!(call(url.to_uppercase(), PRIMARY, soon).await, 404, "in any case");
        assert_eq!(call(url.replace("%20", " "), PRIMARY, soon).await, 404, "decoded");
        assert_eq!(call(url.replace("http:", "https:"), PRIMARY, soon).await, 404);
        assert_eq!(call(format!("{url}x"), PRIMARY, soon).await, 401);
        let wrong = Claims { audience: "x".into(), expires_at: soon, ..Claims::default() };
        let token = sign(&wrong, &Secret::new(PRIMARY));
        let request = squall::net::http::HttpRequest {
            method: http::Method::POST,
            path_and_query: "/api/hubs/chat/:send".to_owned(),
            headers: vec![(
                http::header::AUTHORIZATION,
                format!("Bearer {}", token.expose()).parse().unwrap(),
            )],
            body: bytes::Bytes::new(),
        };
        let answer = hub.call_as(request).await;
        let error: ErrorDetail = serde_json::from_slice(&answer.body).unwrap();
        let expected = format!("http://{}/api/hubs/chat/:send", hub.address);
        assert_eq!(error.message.matches(&expected).count(), 1, "{}", error.message);
        assert_eq!(call(url.clone(), "another-key-another-key-another-key", soon).await, 401);
        assert_eq!(call(url, PRIMARY, hub.now_s() - 301).await, 401);

        let request = squall::net::http::HttpRequest {
            method: http::Method::POST,
            path_and_query: "/api/hubs/chat/:send".to_owned(),
            headers: vec![],
            body: bytes::Bytes::new(),
        };
        let answer = hub.call_as(request).await;
        let error: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!((answer.status.as_u16(), &error["code"]), (401, &json!("Error.Unauthorized")));
        let health = squall::net::http::HttpRequest {
            method: http::Method::HEAD,
            path_and_query: "/api/health".to_owned(),
            headers: vec![],
            body: bytes::Bytes::new(),
        };
        assert_eq!(hub.call_as(health).await.status, 200, "health needs no token");
    });
}
