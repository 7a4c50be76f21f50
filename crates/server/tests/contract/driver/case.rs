//! How one operation is asked, and what it must refuse beyond what every operation must.

#![allow(dead_code, reason = "each test binary uses a part")]

use serde_json::Value;

/// Of one operation. What is the same for all is not said here: other merchants' credentials and ids, missing ones, unknown fields, wrong
/// types, sizes and depths are tried by the driver, from the document.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// Its `operationId`.
    pub(crate) operation: &'static str,
    pub(crate) who: Who,
    /// What the path names but for the merchant: something of lagoon's, and the same of harbour's.
    pub(crate) path: Vec<(&'static str, String, String)>,
    /// Beside what the driver sends by itself.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// A valid one of lagoon's.
    pub(crate) body: Option<Value>,
    /// Of an operation that cannot be asked without one.
    pub(crate) query: &'static str,
    /// What is sent as it is, and its media type: bytes that happen to be text.
    pub(crate) file: Option<(&'static str, &'static str)>,
    /// Made afresh before each request that must succeed.
    pub(crate) prepare: &'static str,
    pub(crate) bad: Vec<Bad>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Who {
    Anybody,
    /// Of lagoon's team: who may and who may not. Said here again, so that a role that is added by mistake is noticed.
    Team {
        may: &'static [&'static str],
        may_not: &'static [&'static str],
    },
    /// Whoever is signed in, wherever they work.
    SignedIn,
    Operator,
}

/// Something sent that must be refused, with nothing written.
#[derive(Clone, Debug)]
pub(crate) struct Bad {
    pub(crate) what: Wrong,
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    /// Of the field that is named; empty when the problem is about none.
    pub(crate) pointer: &'static str,
}

#[derive(Clone, Debug)]
pub(crate) enum Wrong {
    Body(Value),
    Query(&'static str),
}

impl Case {
    pub(crate) fn of(operation: &'static str, who: Who) -> Self {
        Self {
            operation,
            who,
            path: Vec::new(),
            headers: Vec::new(),
            body: None,
            query: "",
            file: None,
            prepare: "",
            bad: Vec::new(),
        }
    }

    pub(crate) fn at(mut self, name: &'static str, ours: impl ToString, theirs: impl ToString) -> Self {
        self.path.push((name, ours.to_string(), theirs.to_string()));
        self
    }

    pub(crate) fn sends(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    pub(crate) fn with(mut self, header: &'static str, value: impl ToString) -> Self {
        self.headers.push((header, value.to_string()));
        self
    }

    pub(crate) fn asks(mut self, query: &'static str) -> Self {
        self.query = query;
        self
    }

    pub(crate) fn sends_file(mut self, media_type: &'static str, bytes: &'static str) -> Self {
        self.file = Some((media_type, bytes));
        self
    }

    pub(crate) fn refuses_query(
        mut self,
        query: &'static str,
        status: u16,
        code: &'static str,
        pointer: &'static str,
    ) -> Self {
        self.bad.push(Bad { what: Wrong::Query(query), status, code, pointer });
        self
    }

    pub(crate) fn refuses_body(
        mut self,
        body: Value,
        status: u16,
        code: &'static str,
        pointer: &'static str,
    ) -> Self {
        self.bad.push(Bad { what: Wrong::Body(body), status, code, pointer });
        self
    }
}
