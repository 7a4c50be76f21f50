//! libpq's connection parameters: from a URL or `key=value` text into names and values, filled up from `PG…` variables.

use std::collections::BTreeMap;

use crate::BadUrl;

/// Parameters by libpq's names.
pub(crate) type Parameters = BTreeMap<&'static str, String>;

/// What we act on.
const KNOWN: &[&str] = &[
    "user",
    "password",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "options",
    "connect_timeout",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "channel_binding",
    "target_session_attrs",
    "load_balance_hosts",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
];

/// What libpq takes and means nothing here: GSS is not spoken, text is always UTF-8, TLS is always 1.2 or newer, and we
/// name ourselves. Options that would make a connection *stricter* (`sslcrl`, `require_auth`) are not among them.
const MEANINGLESS: &[&str] = &[
    "application_name",
    "fallback_application_name",
    "client_encoding",
    "gssencmode",
    "gsslib",
    "krbsrvname",
    "sslcompression",
    "sslsni",
    "ssl_min_protocol_version",
];

const VARIABLES: &[(&str, &str)] = &[
    ("PGUSER", "user"),
    ("PGPASSWORD", "password"),
    ("PGHOST", "host"),
    ("PGHOSTADDR", "hostaddr"),
    ("PGPORT", "port"),
    ("PGDATABASE", "dbname"),
    ("PGOPTIONS", "options"),
    ("PGCONNECT_TIMEOUT", "connect_timeout"),
    ("PGSSLMODE", "sslmode"),
    ("PGSSLROOTCERT", "sslrootcert"),
    ("PGSSLCERT", "sslcert"),
    ("PGSSLKEY", "sslkey"),
    ("PGCHANNELBINDING", "channel_binding"),
    ("PGTARGETSESSIONATTRS", "target_session_attrs"),
];

pub(crate) fn parse(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<Parameters, BadUrl> {
    let text = text.trim();
    let mut parameters = match text.strip_prefix("postgresql://").or_else(|| text.strip_prefix("postgres://"))
    {
        Some(rest) => from_url(rest)?,
        None if text.is_empty() => return Err(BadUrl::Empty),
        None if text.contains("://") || !text.contains('=') => return Err(BadUrl::Scheme),
        None => from_pairs(text)?,
    };
    // An empty value counts as none, as in libpq.
    parameters.retain(|_, value| !value.is_empty());
    for (name, parameter) in VARIABLES {
        if let Some(value) = variable(name).filter(|value| !value.is_empty()) {
            parameters.entry(parameter).or_insert(value);
        }
    }
    Ok(parameters)
}

/// The same for a child process.
pub(crate) fn variables(parameters: &Parameters) -> impl Iterator<Item = (&'static str, String)> {
    VARIABLES.iter().filter_map(|(name, parameter)| Some((*name, parameters.get(parameter)?.clone())))
}

fn known(name: &str) -> Option<&'static str> {
    KNOWN.iter().find(|known| **known == name).copied()
}

fn from_url(rest: &str) -> Result<Parameters, BadUrl> {
    let mut parameters = Parameters::new();
    let (rest, query) = rest.split_once('?').map_or((rest, ""), |(rest, query)| (rest, query));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    // The end of a password, cut by a character that should have been encoded, must not pass for a name.
    if database.contains('@')
        || query.split('&').any(|pair| pair.split('=').next().is_some_and(|name| name.contains('@')))
    {
        return Err(BadUrl::Unencoded);
    }
    // The last `@`: libpq would take the first, and a password with an unencoded `@` would become part of the host.
    let (credentials, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    parameters.insert("user", decoded(user, "user")?);
    parameters.insert("password", decoded(password, "password")?);
    parameters.insert("dbname", decoded(database, "database")?);
    let (mut names, mut ports) = (Vec::new(), Vec::new());
    for host in hosts.split(',') {
        let (name, port) = host_and_port(host)?;
        names.push(decoded(name, "host")?);
        ports.push(decoded(port, "port")?);
    }
    parameters.insert("host", joined(&names));
    parameters.insert("port", joined(&ports));
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decoded(name, "options")?, decoded(value, "options")?);
        match (known(&name), name.as_str(), value.as_str()) {
            (Some(name), ..) => {
                parameters.insert(name, value);
            }
            // JDBC's spelling, which libpq takes too.
            (None, "ssl", "true") => {
                parameters.insert("sslmode", "require".to_owned());
            }
            (None, name, _) if MEANINGLESS.contains(&name) => {}
            _ => return Err(BadUrl::Unknown(name)),
        }
    }
    Ok(parameters)
}

fn joined(values: &[String]) -> String {
    if values.iter().all(String::is_empty) { String::new() } else { values.join(",") }
}

/// `host`, `host:port`, `[::1]`, `[::1]:port`
fn host_and_port(text: &str) -> Result<(&str, &str), BadUrl> {
    let Some(bracketed) = text.strip_prefix('[') else {
        return Ok(text.split_once(':').unwrap_or((text, "")));
    };
    let (address, rest) = bracketed.split_once(']').ok_or(BadUrl::Bracket)?;
    match rest.strip_prefix(':') {
        Some(port) => Ok((address, port)),
        None if rest.is_empty() => Ok((address, "")),
        None => Err(BadUrl::Port),
    }
}

fn decoded(text: &str, what: &'static str) -> Result<String, BadUrl> {
    let wrong = BadUrl::Encoding(what);
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || {
            rest.next()
                .and_then(|byte| char::from(byte).to_digit(16))
                .and_then(|digit| u8::try_from(digit).ok())
        };
        let (Some(high), Some(low)) = (digit(), digit()) else { return Err(wrong) };
        bytes.push(high * 16 + low);
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0')).ok_or(wrong)
}

/// `host=/tmp user='the app'`; in a value a backslash takes the next character as it is.
fn from_pairs(text: &str) -> Result<Parameters, BadUrl> {
    let mut parameters = Parameters::new();
    let mut rest = text.trim_start();
    for number in 1.. {
        if rest.is_empty() {
            break;
        }
        let (name, after) = rest.split_once('=').ok_or(BadUrl::Pair(number))?;
        let name = name.trim_end();
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(BadUrl::Pair(number));
        }
        let (value, after) = value(after.trim_start())?;
        match known(name) {
            Some(name) => {
                parameters.insert(name, value);
            }
            None if MEANINGLESS.contains(&name) => {}
            None => return Err(BadUrl::UnknownAt(number)),
        }
        rest = after.trim_start();
    }
    Ok(parameters)
}

fn value(text: &str) -> Result<(String, &str), BadUrl> {
    let (quoted, body) = text.strip_prefix('\'').map_or((false, text), |body| (true, body));
    let mut value = String::new();
    let mut chars = body.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\'' if quoted => return Ok((value, &body[at + 1..])),
            c if !quoted && c.is_whitespace() => return Ok((value, &body[at..])),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    if quoted { Err(BadUrl::Quote) } else { Ok((value, "")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match parse(text, &|_| None) {
            Ok(parameters) => parameters.iter().map(|(name, value)| format!("{name}={value} ")).collect(),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn urls() {
        insta::assert_snapshot!(shown("postgresql://ann:s%40cret@db.example.com:5433/My%20shop?sslmode=require"),
            @"dbname=My shop host=db.example.com password=s@cret port=5433 sslmode=require user=ann");
        insta::assert_snapshot!(shown("postgres://ann:p@ss@[::1]:6000,other/x"), @"dbname=x host=::1,other password=p@ss port=6000, user=ann");
        insta::assert_snapshot!(shown("postgresql://ann@%2Fvar%2Frun%2Fpostgresql/x"), @"dbname=x host=/var/run/postgresql user=ann");
        insta::assert_snapshot!(shown("postgresql:///x?host=/tmp&port=6000&ssl=true&gssencmode=disable"),
            @"dbname=x host=/tmp port=6000 sslmode=require");
    }

    #[test]
    fn pairs() {
        insta::assert_snapshot!(shown(r"host=/tmp  port = 6000 user='the \'app\'' password=a\ b dbname=x"),
            @"dbname=x host=/tmp password=a b port=6000 user=the 'app'");
    }

    #[test]
    fn variables_fill_what_is_missing() {
        let variable = |name: &str| match name {
            "PGPASSWORD" => Some("from the variable".to_owned()),
            "PGUSER" => Some("someone".to_owned()),
            _ => None,
        };
        let parameters = parse("postgresql://ann@db/x", &variable).unwrap();
        assert_eq!(
            (parameters["user"].as_str(), parameters["password"].as_str()),
            ("ann", "from the variable")
        );
        let parameters = parse("postgresql://ann:own@db/x", &variable).unwrap();
        assert_eq!(parameters["password"], "own");
    }

    #[test]
    fn mistakes_are_named_without_the_secret() {
        insta::assert_snapshot!(shown("  "), @"error: it is empty");
        insta::assert_snapshot!(shown("mysql://a:SECRET@b/c"), @"error: it begins with neither postgresql:// nor key=value");
        insta::assert_snapshot!(shown("shop"), @"error: it begins with neither postgresql:// nor key=value");
        insta::assert_snapshot!(shown("postgres://a:SECRET%2@b/c"), @"error: its password is not percent-encoded UTF-8");
        insta::assert_snapshot!(shown("postgres://a:b@[::1/c"), @"error: the address in brackets does not end");
        insta::assert_snapshot!(shown("postgres://a:b@c/d?schema=public"), @"error: `schema` is not an option Bastide knows; remove it");
        insta::assert_snapshot!(shown("password=my SECRET=1"), @"error: its option 2, counted from 1, is not one Bastide knows");
        insta::assert_snapshot!(shown("password='SECRET"), @"error: a quoted value does not end");
        insta::assert_snapshot!(shown("user=a SECRET"), @"error: its option 2, counted from 1, is not of the form key=value");
    }
}
