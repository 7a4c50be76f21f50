//! Who asks, as far as limits go.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::{
    extract::ConnectInfo,
    http::{HeaderMap, HeaderName, request::Parts},
};
use uuid::Uuid;

use crate::{app::App, session::Session};

const FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-for");

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Caller {
    User(Uuid),
    Address(IpAddr),
    /// No address is known: all of these share what one has.
    Unknown,
}

impl Caller {
    /// A token that is not valid is nobody's, or a new one each time would be a way around.
    pub(super) fn signed_in(app: &App, headers: &HeaderMap) -> Option<Self> {
        let session = Session::from_bearer(app, headers).ok().flatten();
        session.or_else(|| Session::from_cookie(app, headers)).map(|session| Self::User(session.user))
    }

    pub(super) fn address(parts: &Parts, trusted_proxies: usize) -> Self {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip());
        let address = match trusted_proxies {
            0 => peer,
            hops => forwarded(&parts.headers, hops),
        };
        address.map_or(Self::Unknown, |address| Self::Address(network(address)))
    }
}

/// The address that the first of our own proxies saw. What is left of it was sent by anybody.
fn forwarded(headers: &HeaderMap, hops: usize) -> Option<IpAddr> {
    let lines = headers.get_all(FORWARDED).iter().filter_map(|value| value.to_str().ok());
    let addresses: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
    let index = addresses.len().checked_sub(hops)?;
    addresses[index].parse().ok()
}

/// A household or a server has a /64 of its own.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn caller(forwarded: &[&str], hops: usize) -> Caller {
        let request =
            forwarded.iter().fold(Request::builder(), |request, line| request.header(FORWARDED, *line));
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        parts.extensions.insert(ConnectInfo(SocketAddr::from(([10, 0, 0, 1], 4000))));
        Caller::address(&parts, hops)
    }

    fn address(text: &str) -> Caller {
        Caller::Address(text.parse().unwrap())
    }

    #[test]
    fn only_what_a_proxy_of_ours_wrote_is_an_address() {
        assert_eq!(caller(&["1.2.3.4"], 0), address("10.0.0.1"), "anybody may send the header");
        assert_eq!(caller(&["6.6.6.6, 1.2.3.4"], 1), address("1.2.3.4"));
        assert_eq!(caller(&["6.6.6.6", "1.2.3.4, 10.0.0.9"], 2), address("1.2.3.4"));
        for (lines, hops) in [(&[][..], 1), (&["1.2.3.4"], 2), (&["1.2.3.4, nonsense"], 1), (&[""], 1)] {
            assert_eq!(caller(lines, hops), Caller::Unknown, "{lines:?}");
        }
        assert_eq!(caller(&["2001:db8:1:2:3:4:5:6"], 1), address("2001:db8:1:2::"));
        assert_eq!(caller(&["::ffff:1.2.3.4"], 1), address("1.2.3.4"));
    }
}
