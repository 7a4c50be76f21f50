//! What is replayed: sessions, their units, and the statements in them, read from `replay.sql`.

/// A connection of its own.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) name: String,
    pub(super) login: String,
    /// Said when it connects.
    pub(super) once: Vec<Said>,
    pub(super) units: Vec<Unit>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Unit {
    pub(super) name: String,
    /// Said in each round whose number this divides.
    pub(super) every: u32,
    pub(super) statements: Vec<Said>,
}

#[derive(Clone, Debug)]
pub(super) enum Said {
    Statement(String),
    Copy { statement: String, data: String },
}

impl Unit {
    pub(super) fn is_a_snapshot(&self) -> bool {
        matches!(self.statements.first(), Some(Said::Statement(text)) if text.contains("ISOLATION LEVEL"))
    }
}

impl Said {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Statement(text) => text,
            Self::Copy { statement, .. } => statement,
        }
    }
}

pub(super) fn read(text: &str) -> Vec<Session> {
    let mut sessions: Vec<Session> = Vec::new();
    let mut lines = text.lines();
    let mut open: Option<Unit> = None;
    while let Some(line) = lines.next() {
        if let Some(directive) = line.strip_prefix("--: ") {
            close(&mut sessions, open.take());
            if let Some(session) = directive.strip_prefix("session ") {
                let (name, login) = session.split_once(" as ").unwrap();
                let (name, login) = (name.to_owned(), login.to_owned());
                sessions.push(Session { name, login, once: Vec::new(), units: Vec::new() });
            } else {
                open = Some(unit(directive));
            }
        } else if !line.is_empty() && !line.starts_with("--") {
            let unit = open.as_mut().unwrap_or_else(|| panic!("outside a unit: {line}"));
            assert!(line.ends_with(';'), "one statement a line: {line}");
            unit.statements.push(if line.starts_with("COPY ") {
                let data: Vec<&str> = lines.by_ref().take_while(|line| *line != "\\.").collect();
                Said::Copy { statement: line.to_owned(), data: data.join("\n") + "\n" }
            } else {
                Said::Statement(line.to_owned())
            });
        }
    }
    close(&mut sessions, open);
    sessions
}

fn unit(directive: &str) -> Unit {
    if directive == "once" {
        return Unit { name: "once".to_owned(), ..Unit::default() };
    }
    let named = directive.strip_prefix("unit ").unwrap_or_else(|| panic!("no directive: {directive}"));
    let (name, every) = named.split_once(" every ").unwrap_or((named, "1"));
    Unit { name: name.to_owned(), every: every.parse().unwrap(), statements: Vec::new() }
}

fn close(sessions: &mut [Session], unit: Option<Unit>) {
    let Some(unit) = unit else { return };
    let session = sessions.last_mut().unwrap();
    if unit.name == "once" {
        session.once = unit.statements;
    } else {
        session.units.push(unit);
    }
}
