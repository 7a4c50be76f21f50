//! Where a request comes from: its address, what the client calls itself, and, of browsers, whether a page of this very site sent it.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{HeaderMap, HeaderName, header, request::Parts},
};

use crate::{
    app::App,
    code::Code,
    contract::{Draft, Input},
    problem::Problem,
};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const MAX_AGENT_CHARS: usize = 200;

#[derive(Clone, Debug)]
pub(crate) struct Client {
    address: Option<IpAddr>,
    pub(crate) agent: String,
}

impl Client {
    fn of(parts: &Parts, proxies: usize) -> Self {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        let agent =
            parts.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
        Self {
            address: forwarded(&parts.headers, proxies).or(peer),
            agent: agent.chars().take(MAX_AGENT_CHARS).collect(),
        }
    }

    pub(crate) fn address(&self) -> String {
        self.address.map_or_else(|| "unknown".to_owned(), |address| address.to_string())
    }

    /// What attempts are counted by: of IPv6 the network, since one subscriber has all of it.
    pub(crate) fn network(&self) -> String {
        match self.address {
            Some(IpAddr::V6(address)) => match address.to_ipv4_mapped() {
                Some(address) => address.to_string(),
                None => format!("{}/64", Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
            },
            _ => self.address(),
        }
    }
}

/// Each proxy appends whom it heard; what stands before those that are ours anybody can have written.
fn forwarded(headers: &HeaderMap, proxies: usize) -> Option<IpAddr> {
    let lines = headers.get_all(FORWARDED_FOR).iter().filter_map(|line| line.to_str().ok());
    let heard: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
    let at = heard.len().checked_sub(proxies).filter(|_| proxies > 0)?;
    heard.get(at)?.parse().ok()
}

impl FromRequestParts<App> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        Ok(Self::of(parts, app.config().limits.trusted_proxies))
    }
}

impl Input for Client {
    fn describe(_: &mut Draft) {}
}

/// A form on another site must not sign anybody in or out. Browsers say where a request comes from; other clients need not.
pub(crate) fn refuse_other_sites(headers: &HeaderMap) -> Result<(), Problem> {
    if said_own_site(headers).unwrap_or(true) { Ok(()) } else { Err(Problem::of(Code::CrossSite)) }
}

/// A cookie comes along by itself, so a write under one must be said to come from this site. Browsers that know cookies with `__Host-` say so.
pub(crate) fn demand_own_site(headers: &HeaderMap) -> Result<(), Problem> {
    if said_own_site(headers).unwrap_or(false) { Ok(()) } else { Err(Problem::of(Code::CrossSite)) }
}

/// Whether what the browser says of its origin names this site; `None` when it says nothing.
fn said_own_site(headers: &HeaderMap) -> Option<bool> {
    let site = headers.get(FETCH_SITE).map(|site| matches!(site.as_bytes(), b"same-origin" | b"none"));
    let origin = headers.get(header::ORIGIN).map(|origin| {
        let authority =
            origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, authority)| authority);
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        authority.zip(host).is_some_and(|(authority, host)| authority.eq_ignore_ascii_case(host))
    });
    match (site, origin) {
        (None, None) => None,
        (site, origin) => Some(site.unwrap_or(true) && origin.unwrap_or(true)),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, Request};

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn only_what_our_own_proxies_say_is_believed() {
        let sent = headers(&[("x-forwarded-for", "203.0.113.9, 198.51.100.1")]);
        assert_eq!(forwarded(&sent, 0), None);
        assert_eq!(forwarded(&sent, 1), Some([198, 51, 100, 1].into()));
        assert_eq!(forwarded(&sent, 2), Some([203, 0, 113, 9].into()));
        assert_eq!(forwarded(&sent, 3), None);
        assert_eq!(forwarded(&headers(&[("x-forwarded-for", "me")]), 1), None);
    }

    #[test]
    fn attempts_are_counted_by_network() {
        let network = |address: &str| {
            let request = Request::builder().header("x-forwarded-for", address).body(()).unwrap();
            Client::of(&request.into_parts().0, 1).network()
        };
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(network("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!((network("192.0.2.1").as_str(), network("x").as_str()), ("192.0.2.1", "unknown"));
    }

    #[test]
    fn a_write_under_a_cookie_says_where_it_comes_from() {
        let may = |pairs: &[(&'static str, &'static str)]| {
            let headers = headers(pairs);
            (refuse_other_sites(&headers).is_ok(), demand_own_site(&headers).is_ok())
        };
        assert_eq!(may(&[]), (true, false));
        assert_eq!(may(&[("sec-fetch-site", "same-origin")]), (true, true));
        assert_eq!(may(&[("sec-fetch-site", "same-site")]), (false, false));
        assert_eq!(may(&[("origin", "https://a.example:8443"), ("host", "a.example:8443")]), (true, true));
        for origin in ["https://b.example", "null", "https://a.example.b.example", "https://a.example:1", ""]
        {
            let sent = [("origin", origin), ("host", "a.example"), ("sec-fetch-site", "same-origin")];
            assert_eq!(may(&sent), (false, false), "{origin}");
        }
    }
}
