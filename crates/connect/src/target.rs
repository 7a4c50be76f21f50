//! A database one can connect to.

use std::{fmt, path::Path, time::Duration};

use tokio_postgres::{
    Config,
    config::{ChannelBinding, Host, LoadBalanceHosts, SslMode, TargetSessionAttrs},
};

use crate::{
    BadUrl, ConnectError, Connected,
    parameters::{self, Parameters},
    tls::{Mode, Tls},
};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where and as whom to connect. `Debug` and `Display` leave the password out.
#[derive(Clone)]
pub struct Target {
    parameters: Parameters,
    /// Everything but user, password and database.
    config: Config,
    tls: Tls,
}

impl Target {
    /// Reads a URL or `key=value` text as libpq does; what they leave open comes from `PGPASSWORD` and its siblings.
    ///
    /// # Errors
    /// [`ConnectError::BadUrl`], which does not repeat the text.
    pub fn parse(text: &str) -> Result<Self, ConnectError> {
        Ok(Self::parse_with(text, &|name| std::env::var(name).ok())?)
    }

    fn parse_with(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, BadUrl> {
        let mut parameters = parameters::parse(text, variable)?;
        if !parameters.contains_key("user")
            && let Some(user) = ["USER", "LOGNAME"].into_iter().find_map(variable)
        {
            parameters.insert("user", user);
        }
        if !parameters.contains_key("host") && !parameters.contains_key("hostaddr") {
            let port = parameters.get("port").map_or("5432", String::as_str);
            parameters.insert("host", local_host(port).to_owned());
        }
        // Last: half of a password taken for a port is the likelier mistake.
        let target = Self::of(parameters)?;
        if target.user().is_empty() { Err(BadUrl::NoUser) } else { Ok(target) }
    }

    fn of(parameters: Parameters) -> Result<Self, BadUrl> {
        let tls = Tls::of(&parameters)?;
        let config = config(&parameters, &tls)?;
        Ok(Self { parameters, config, tls })
    }

    /// Connects, and checks that the server is of a version Bastide works with.
    ///
    /// # Errors
    /// A [`ConnectError`] that says what to try.
    pub async fn connect(&self, application_name: &str) -> Result<Connected, ConnectError> {
        let mut config = self.config.clone();
        config.application_name(application_name).user(self.user()).dbname(self.database());
        if let Some(password) = self.parameters.get("password") {
            config.password(password);
        }
        Connected::open(self, config, &self.tls).await
    }

    #[must_use]
    pub fn user(&self) -> &str {
        self.parameters.get("user").map_or("", String::as_str)
    }

    /// The database's name; by default it is the user's, as in libpq.
    #[must_use]
    pub fn database(&self) -> &str {
        self.parameters.get("dbname").map_or_else(|| self.user(), String::as_str)
    }

    /// The same server as another user, whose password it is.
    #[must_use]
    pub fn with_user(&self, user: &str, password: Option<&str>) -> Self {
        let mut other = self.clone();
        // Otherwise the default would change with the user.
        other.parameters.insert("dbname", self.database().to_owned());
        other.parameters.insert("user", user.to_owned());
        match password {
            Some(password) => other.parameters.insert("password", password.to_owned()),
            None => other.parameters.remove("password"),
        };
        other
    }

    /// Another database of the same server.
    #[must_use]
    pub fn with_database(&self, database: &str) -> Self {
        let mut other = self.clone();
        other.parameters.insert("dbname", database.to_owned());
        other
    }

    /// With more start-up options (`-c name=value …`) after those it has. Transaction-mode poolers refuse such.
    #[must_use]
    pub fn with_options(&self, options: &str) -> Self {
        let mut other = self.clone();
        let options = match other.parameters.get("options") {
            Some(given) => format!("{given} {options}"),
            None => options.to_owned(),
        };
        other.config.options(options.as_str());
        other.parameters.insert("options", options);
        other
    }

    /// `db.example.com:5432`, or `/var/run/postgresql (socket, port 5432)`.
    #[must_use]
    pub fn host_for_people(&self) -> String {
        let port = |index: usize| {
            let ports = self.config.get_ports();
            ports.get(index).or_else(|| ports.first()).copied().unwrap_or(5432)
        };
        let hosts = self.config.get_hosts().iter().enumerate().map(|(index, host)| match host {
            Host::Tcp(name) if name.contains(':') => format!("[{name}]:{}", port(index)),
            Host::Tcp(name) => format!("{name}:{}", port(index)),
            Host::Unix(path) => format!("{} (socket, port {})", path.display(), port(index)),
        });
        hosts.collect::<Vec<_>>().join(", ")
    }

    /// The port of the first host; `None` where a socket is tried.
    #[must_use]
    pub fn tcp_port(&self) -> Option<u16> {
        let sockets = self.config.get_hosts().iter().any(|host| matches!(host, Host::Unix(_)));
        (!sockets).then(|| self.config.get_ports().first().copied().unwrap_or(5432))
    }

    /// What makes `pg_dump`, `psql` and their siblings connect to this very target. Set them on the child process and
    /// pass no connection option: arguments are visible to every user of the machine, the environment is not.
    #[must_use]
    pub fn libpq_environment(&self) -> Vec<(&'static str, String)> {
        let mut variables: Vec<_> = parameters::variables(&self.parameters).collect();
        if !self.parameters.contains_key("dbname") {
            variables.push(("PGDATABASE", self.database().to_owned()));
        }
        // Where we fall back on the system's own roots, libpq (16 and newer) has to be told to.
        if self.tls.mode == Mode::VerifyFull && self.tls.uses_system_roots() {
            variables.push(("PGSSLROOTCERT", "system".to_owned()));
        }
        variables
    }

    pub(crate) fn has_password(&self) -> bool {
        self.parameters.contains_key("password")
    }

    /// For the whole attempt, all hosts together.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        let hosts = self.config.get_hosts().len().max(self.config.get_hostaddrs().len()).max(1);
        let each = self.config.get_connect_timeout()?;
        Some(*each * u32::try_from(hosts).unwrap_or(u32::MAX))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {} as {}", self.database(), self.host_for_people(), self.user())
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self}, sslmode {:?})", self.tls.mode)
    }
}

/// libpq's default is a path compiled in by the packager: Debian's, then upstream's; TCP where neither has a socket.
fn local_host(port: &str) -> &'static str {
    let has_socket = |folder: &&str| Path::new(folder).join(format!(".s.PGSQL.{port}")).exists();
    ["/var/run/postgresql", "/tmp"].iter().find(|folder| has_socket(folder)).copied().unwrap_or("localhost")
}

fn config(parameters: &Parameters, tls: &Tls) -> Result<Config, BadUrl> {
    let get = |name: &str| parameters.get(name).map(String::as_str);
    let list = |name: &str| {
        get(name).map(|text| text.split(',').map(str::trim).collect::<Vec<_>>()).unwrap_or_default()
    };
    let mut config = Config::new();
    let (mut hosts, addresses, ports) = (list("host"), list("hostaddr"), list("port"));
    if hosts.is_empty() {
        // TLS needs a name to check, and people one to read.
        hosts.clone_from(&addresses);
    }
    let count = hosts.len().max(addresses.len());
    for (option, other) in [("hostaddr", addresses.len()), ("port", ports.len())] {
        let free = if option == "port" { 1 } else { 0 };
        if other > free && other != count {
            return Err(BadUrl::Counts { option, hosts: count, other });
        }
    }
    for host in hosts {
        // An empty name among several means the local socket.
        config.host(if host.is_empty() { local_host("5432") } else { host });
    }
    for address in addresses {
        config.hostaddr(address.parse().map_err(|_| BadUrl::Value("hostaddr", "the IP addresses"))?);
    }
    for port in ports {
        let port = if port.is_empty() { Some(5432) } else { port.parse().ok().filter(|port| *port > 0) };
        config.port(port.ok_or(BadUrl::Port)?);
    }
    if let Some(options) = get("options") {
        config.options(options);
    }
    config.connect_timeout(DEFAULT_TIMEOUT);
    if let Some(seconds) = seconds(parameters, "connect_timeout")? {
        config.connect_timeout(seconds);
    }
    // Sockets are local: libpq does not encrypt them, whatever sslmode says.
    let local =
        config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_))) && !config.get_hosts().is_empty();
    config.ssl_mode(match tls.mode {
        _ if local => SslMode::Disable,
        Mode::Disable => SslMode::Disable,
        Mode::Prefer => SslMode::Prefer,
        Mode::Require | Mode::VerifyCa | Mode::VerifyFull => SslMode::Require,
    });
    keep_alive(&mut config, parameters)?;
    match get("channel_binding") {
        None | Some("prefer") => {}
        Some("disable") => {
            config.channel_binding(ChannelBinding::Disable);
        }
        Some("require") => {
            config.channel_binding(ChannelBinding::Require);
        }
        Some(_) => return Err(BadUrl::Value("channel_binding", "disable, prefer, require")),
    }
    match get("target_session_attrs") {
        None | Some("any") => {}
        Some("read-write" | "primary") => {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        Some("read-only" | "standby") => {
            config.target_session_attrs(TargetSessionAttrs::ReadOnly);
        }
        Some(_) => {
            return Err(BadUrl::Value(
                "target_session_attrs",
                "any, read-write, read-only, primary, standby",
            ));
        }
    }
    match get("load_balance_hosts") {
        None | Some("disable") => {}
        Some("random") => {
            config.load_balance_hosts(LoadBalanceHosts::Random);
        }
        Some(_) => return Err(BadUrl::Value("load_balance_hosts", "disable, random")),
    }
    Ok(config)
}

fn keep_alive(config: &mut Config, parameters: &Parameters) -> Result<(), BadUrl> {
    config.keepalives(parameters.get("keepalives").is_none_or(|value| value != "0"));
    if let Some(idle) = seconds(parameters, "keepalives_idle")? {
        config.keepalives_idle(idle);
    }
    if let Some(interval) = seconds(parameters, "keepalives_interval")? {
        config.keepalives_interval(interval);
    }
    if let Some(count) = number(parameters, "keepalives_count")? {
        config.keepalives_retries(count);
    }
    Ok(())
}

fn number(parameters: &Parameters, name: &'static str) -> Result<Option<u32>, BadUrl> {
    let parse = |text: &String| text.trim().parse().map_err(|_| BadUrl::Value(name, "the whole numbers"));
    parameters.get(name).map(parse).transpose()
}

/// Zero means the default, as in libpq.
fn seconds(parameters: &Parameters, name: &'static str) -> Result<Option<Duration>, BadUrl> {
    Ok(number(parameters, name)?
        .filter(|seconds| *seconds > 0)
        .map(|seconds| Duration::from_secs(seconds.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Target {
        Target::parse_with(text, &|_| None).unwrap()
    }

    fn error(text: &str) -> String {
        Target::parse_with(text, &|_| None).unwrap_err().to_string()
    }

    #[test]
    fn people_see_everything_but_the_password() {
        let target = target("postgresql://ann:SECRET@db.example.com,[::1]:6000/shop?sslmode=verify-full");
        insta::assert_snapshot!(target.to_string(), @"shop at db.example.com:5432, [::1]:6000 as ann");
        insta::assert_snapshot!(format!("{target:?}"),
            @"Target(shop at db.example.com:5432, [::1]:6000 as ann, sslmode VerifyFull)");
        insta::assert_snapshot!(super::tests::target("user=a host=/tmp").to_string(), @"a at /tmp (socket, port 5432) as a");
        insta::assert_snapshot!(super::tests::target("user=a hostaddr=10.0.0.1").to_string(), @"a at 10.0.0.1:5432 as a");
    }

    #[test]
    fn child_processes_get_the_same_target() {
        let told = |target: &Target| {
            target
                .libpq_environment()
                .into_iter()
                .map(|(name, value)| format!("{name}={value}\n"))
                .collect::<String>()
        };
        insta::assert_snapshot!(told(&target("postgresql://ann:secret@db:6000/shop?sslmode=verify-ca&sslrootcert=/ca.pem")), @r"
        PGUSER=ann
        PGPASSWORD=secret
        PGHOST=db
        PGPORT=6000
        PGDATABASE=shop
        PGSSLMODE=verify-ca
        PGSSLROOTCERT=/ca.pem
        ");
        let app = target("postgresql://ann:secret@db").with_user("app", None).with_database("other");
        insta::assert_snapshot!(told(&app), @r"
        PGUSER=app
        PGHOST=db
        PGDATABASE=other
        ");
        assert_eq!(target("postgresql://ann@db").with_user("app", Some("x")).database(), "ann");
    }

    #[test]
    fn impossible_values_are_named() {
        insta::assert_snapshot!(error("postgresql://a:SEC/RET@db/shop"), @"an `@` follows its first / or ?; in a password, / ? @ # and % must be percent-encoded (/ is %2F, ? is %3F)");
        insta::assert_snapshot!(error("postgresql://a@db:x/shop"), @"the port is not a number between 1 and 65535 (characters such as / : @ # in a password must be percent-encoded)");
        insta::assert_snapshot!(error("postgresql://a:12/SECRET@db/shop"), @"an `@` follows its first / or ?; in a password, / ? @ # and % must be percent-encoded (/ is %2F, ? is %3F)");
        insta::assert_snapshot!(error("postgresql://a:12?SECRET@db/shop"), @"an `@` follows its first / or ?; in a password, / ? @ # and % must be percent-encoded (/ is %2F, ? is %3F)");
        insta::assert_snapshot!(error("postgresql://a@db/x?sslmode=yes"), @"the value of `sslmode` is not one of disable, allow, prefer, require, verify-ca, verify-full");
        insta::assert_snapshot!(error("user=a host=x,y port=1,2,3"), @"it names 2 hosts, but 3 values of `port`");
        insta::assert_snapshot!(error("postgresql://db/x"), @"it names no user, and neither PGUSER nor USER is set");
        insta::assert_snapshot!(error("postgresql://a@db/x?connect_timeout=soon"), @"the value of `connect_timeout` is not one of the whole numbers");
    }
}
