//! The routes below `/api/v1`, out of what the routers say of themselves.

use std::collections::BTreeSet;

/// A method and a path, as the router has it.
pub(crate) type Route = (String, String);

/// Every route that answers one of these methods.
pub(crate) fn routes(methods: &[&str]) -> BTreeSet<Route> {
    let routers = hillock::api::routes().map(|router| format!("{router:?}"));
    routers.iter().flat_map(|text| of_router(text, methods)).collect()
}

fn of_router(text: &str, methods: &[&str]) -> Vec<Route> {
    let text = text.split("fallback_router").next().unwrap();
    let entries = || text.split("RouteId(").filter_map(|entry| entry.split_once("): "));
    let path_of = |id: &str| {
        let path = entries().find_map(|(other, rest)| {
            rest.strip_prefix('"').filter(|_| other == id)?.split('"').next()
        });
        path.unwrap_or_else(|| panic!("no path of route {id}: {text}")).to_owned()
    };
    let endpoints = entries().filter(|(_, rest)| rest.starts_with("MethodRouter("));
    let mut routes = vec![];
    for (id, endpoint) in endpoints {
        for method in methods {
            let (_, handler) = endpoint.split_once(&format!(" {method}: ")).unwrap();
            if !handler.starts_with("None") {
                routes.push((method.to_uppercase(), path_of(id)));
            }
        }
    }
    routes
}
