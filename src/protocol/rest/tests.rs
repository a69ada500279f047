//! Tests of the route table.

use proptest::prelude::*;

use super::*;

/// The 25 operations of the contract with these names, and how they stand in its table.
fn table(hub: &str, g: &str, c: &str, u: &str) -> Vec<(Operation, &'static str, String, u16)> {
    use Operation as O;
    let [hub, group, connection_id, user_id] = [hub, g, c, u].map(str::to_owned);
    let permission = || "sendToGroup".to_owned();
    let (h, gr, cn, us) =
        (|| hub.clone(), || group.clone(), || connection_id.clone(), || user_id.clone());
    let e = |name: &str| utf8_percent_encode(name, NON_ALPHANUMERIC).to_string();
    let (eh, eg, ec, eu) = (e(&hub), e(&group), e(&connection_id), e(&user_id));
    let in_hub = |rest: String| format!("/api/hubs/{eh}/{rest}");
    let in_permission = || in_hub(format!("permissions/sendToGroup/connections/{ec}"));
    vec![
        (O::GetServiceStatus, "HEAD", "/api/health".into(), 200),
        (O::SendToAll { hub: h() }, "POST", in_hub(":send".into()), 202),
        (
            O::SendToGroup { hub: h(), group: gr() },
            "POST",
            in_hub(format!("groups/{eg}/:send")),
            202,
        ),
        (
            O::SendToUser { hub: h(), user_id: us() },
            "POST",
            in_hub(format!("users/{eu}/:send")),
            202,
        ),
        (
            O::SendToConnection { hub: h(), connection_id: cn() },
            "POST",
            in_hub(format!("connections/{ec}/:send")),
            202,
        ),
        (
            O::CloseConnection { hub: h(), connection_id: cn() },
            "DELETE",
            in_hub(format!("connections/{ec}")),
            204,
        ),
        (O::CloseAllConnections { hub: h() }, "POST", in_hub(":closeConnections".into()), 204),
        (
            O::CloseGroupConnections { hub: h(), group: gr() },
            "POST",
            in_hub(format!("groups/{eg}/:closeConnections")),
            204,
        ),
        (
            O::CloseUserConnections { hub: h(), user_id: us() },
            "POST",
            in_hub(format!("users/{eu}/:closeConnections")),
            204,
        ),
        (
            O::ConnectionExists { hub: h(), connection_id: cn() },
            "HEAD",
            in_hub(format!("connections/{ec}")),
            200,
        ),
        (O::GroupExists { hub: h(), group: gr() }, "HEAD", in_hub(format!("groups/{eg}")), 200),
        (O::UserExists { hub: h(), user_id: us() }, "HEAD", in_hub(format!("users/{eu}")), 200),
        (
            O::AddConnectionToGroup { hub: h(), group: gr(), connection_id: cn() },
            "PUT",
            in_hub(format!("groups/{eg}/connections/{ec}")),
            200,
        ),
        (
            O::RemoveConnectionFromGroup { hub: h(), group: gr(), connection_id: cn() },
            "DELETE",
            in_hub(format!("groups/{eg}/connections/{ec}")),
            204,
        ),
        (
            O::RemoveConnectionFromAllGroups { hub: h(), connection_id: cn() },
            "DELETE",
            in_hub(format!("connections/{ec}/groups")),
            204,
        ),
        (
            O::AddUserToGroup { hub: h(), user_id: us(), group: gr() },
            "PUT",
            in_hub(format!("users/{eu}/groups/{eg}")),
            200,
        ),
        (
            O::RemoveUserFromGroup { hub: h(), user_id: us(), group: gr() },
            "DELETE",
            in_hub(format!("users/{eu}/groups/{eg}")),
            204,
        ),
        (
            O::RemoveUserFromAllGroups { hub: h(), user_id: us() },
            "DELETE",
            in_hub(format!("users/{eu}/groups")),
            204,
        ),
        (O::AddConnectionsToGroups { hub: h() }, "POST", in_hub(":addToGroups".into()), 200),
        (
            O::RemoveConnectionsFromGroups { hub: h() },
            "POST",
            in_hub(":removeFromGroups".into()),
            200,
        ),
        (
            O::ListConnectionsInGroup { hub: h(), group: gr() },
            "GET",
            in_hub(format!("groups/{eg}/connections")),
            200,
        ),
        (
            O::GrantPermission { hub: h(), permission: permission(), connection_id: cn() },
            "PUT",
            in_permission(),
            200,
        ),
        (
            O::RevokePermission { hub: h(), permission: permission(), connection_id: cn() },
            "DELETE",
            in_permission(),
            204,
        ),
        (
            O::CheckPermission { hub: h(), permission: permission(), connection_id: cn() },
            "HEAD",
            in_permission(),
            200,
        ),
        (O::GenerateClientToken { hub: h() }, "POST", in_hub(":generateToken".into()), 200),
    ]
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        _ => Method::Delete,
    }
}

#[test]
fn every_operation_stands_in_the_table_and_routes_back_from_its_own_request() {
    let rows = table("chat", "a/b c", "id-1", "user@x");
    assert_eq!(rows.len(), 25);
    for (operation, method_name, path, status) in rows {
        assert_eq!(Operation::route(method(method_name), &path).as_ref(), Ok(&operation));
        let (by, to) = operation.request();
        assert_eq!(by, method(method_name), "{}", operation.name());
        assert_eq!(Operation::route(by, &to).as_ref(), Ok(&operation), "{to}");
        assert_eq!(operation.success_status(), status, "{}", operation.name());
        assert!(format!("{operation:?}").starts_with(operation.name()));
    }
}

proptest! {
    #[test]
    fn awkward_names_survive_the_path(
        group in "[^\\s]\\PC{0,20}|groups|:send|%2F|\\.\\.",
        connection in "\\PC{1,20}|connections|:send|%",
        user in "\\PC{1,20}|groups|permissions|/",
    ) {
        for (operation, ..) in table("h", &group, &connection, &user) {
            let (method, path) = operation.request();
            prop_assert_eq!(Operation::route(method, &path), Ok(operation));
        }
    }

    #[test]
    fn any_path_is_routed_or_refused_without_a_panic(
        path in "(/(api|hubs|h|groups|\\PC{0,3}|%[0-9a-f]{2}))*",
    ) {
        let _ = Operation::route(Method::Post, &path);
    }
}

#[test]
fn hub_names_have_no_case() {
    let routed = Operation::route(Method::Post, "/api/hubs/CHAT/:send");
    assert_eq!(routed, Ok(Operation::SendToAll { hub: "chat".into() }));
}

#[test]
fn what_is_not_in_the_table_is_refused_for_the_right_reason() {
    for path in [
        "",
        "/",
        "/api",
        "/api/hubs/h",
        "/api/hubs//:send",
        "/api/hubs/h/:send/",
        "/api/hubs/h/:sing",
        "/api/hubs/h/groups//:send",
        "/api/hubs/h/groups/g/users",
        "/api/hubs/h/users/u/groups/g/x",
        "api/hubs/h/:send",
    ] {
        let routed = Operation::route(Method::Post, path);
        assert_eq!(routed, Err(NoOperation::NotFound), "{path}");
    }
    for (method, path) in [
        (Method::Get, "/api/health"),
        (Method::Get, "/api/hubs/h/:send"),
        (Method::Post, "/api/hubs/h/groups/g"),
        (Method::Get, "/api/hubs/h/permissions/sendToGroup/connections/c"),
        (Method::Head, "/api/hubs/h/connections/c/groups"),
    ] {
        let routed = Operation::route(method, path);
        assert_eq!(routed, Err(NoOperation::MethodNotAllowed), "{path}");
    }
    for (path, target) in [
        ("/api/hubs/1h/groups/g", "hub"),
        ("/api/hubs/a%2Fb/groups/g", "hub"),
        ("/api/hubs/h/groups/%20", "group"),
        ("/api/hubs/h/permissions/fly/connections/c", "permission"),
        ("/api/hubs/h/groups/%ff", "Request"),
    ] {
        let Err(NoOperation::BadName(error)) = Operation::route(Method::Head, path) else {
            panic!("{path} must be a bad name");
        };
        assert_eq!((error.code.as_str(), error.target.as_str()), ("Error.BadRequest", target));
    }
}

#[test]
fn names_have_their_limits() {
    for (name, fits) in
        [("a", true), ("A1_`,.[]", true), ("", false), ("1a", false), ("a-b", false), ("é", false)]
    {
        assert_eq!(is_hub_name(name), fits, "{name}");
    }
    assert!(is_hub_name(&"h".repeat(128)) && !is_hub_name(&"h".repeat(129)));
    assert!(is_group_name(&"é".repeat(1_024)) && !is_group_name(&"é".repeat(1_025)));
    assert!(is_group_name(" g ") && !is_group_name("") && !is_group_name(" \t"));
}
