//! Every operation of the document, attacked in the same way: by other merchants, by nobody, by the wrong role, with what cannot be used.

mod case;
mod input;
mod scene;

use std::collections::BTreeMap;

use axum::http::Method;
use serde_json::Value;

pub(crate) use case::{Case, Who};
pub(crate) use scene::Scene;
use scene::{Asking, ROLES};

use super::site::Answer;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// Path, method and description of each operation.
pub(crate) fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let each = paths.iter().flat_map(|(path, item)| {
        METHODS.iter().filter_map(|method| {
            item.get(method).map(|operation| (path.clone(), (*method).to_owned(), operation.clone()))
        })
    });
    each.collect()
}

/// What is wrong, each with the operation it is wrong with; nothing when all holds.
pub(crate) async fn complaints(scene: &Scene, document: &Value, cases: &[Case]) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut described: BTreeMap<String, (String, String, Value)> = operations(document)
        .into_iter()
        .map(|(path, method, operation)| {
            (operation["operationId"].as_str().unwrap().to_owned(), (path, method, operation))
        })
        .collect();
    for case in cases {
        let Some((path, method, operation)) = described.remove(case.operation) else {
            complaints.push(format!("{}: a case, and no such operation (or two cases)", case.operation));
            continue;
        };
        let mut trial =
            Trial { scene, document, case, path: &path, operation: &operation, complaints: Vec::new() };
        trial.run(&method.to_uppercase().parse().unwrap()).await;
        complaints.extend(trial.complaints);
    }
    let without = described.iter().map(|(id, (path, method, _))| {
        format!("{id} ({method} {path}): no case in tests/contract/operations, so nobody knows whether it is isolated")
    });
    complaints.extend(without);
    complaints
}

/// One operation under attack.
struct Trial<'a> {
    scene: &'a Scene,
    document: &'a Value,
    case: &'a Case,
    /// The template.
    path: &'a str,
    operation: &'a Value,
    complaints: Vec<String>,
}

impl Trial<'_> {
    async fn run(&mut self, method: &Method) {
        let valid = self.valid(method);
        self.check_case();
        self.control(&valid).await;
        // What it took away is there again, to be refused.
        if !self.case.prepare.is_empty() {
            self.scene.site.database.execute(self.case.prepare).await;
        }
        let before = self.scene.rows().await;
        if self.path.contains("{merchant}") {
            self.strangers(&valid).await;
        }
        self.credentials(&valid).await;
        self.foreign_ids(&valid).await;
        self.bad_input(&valid).await;
        if self.scene.rows().await != before {
            self.complain("a refused request wrote something");
        }
        self.keys_of_others(&valid).await;
    }

    /// A request that must succeed, from who may least.
    fn valid(&self, method: &Method) -> Asking {
        let mut path = self.path.replace("{merchant}", "lagoon");
        for (name, ours, _) in &self.case.path {
            path = path.replace(&format!("{{{name}}}"), ours);
        }
        if !self.case.query.is_empty() {
            path = format!("{path}?{}", self.case.query);
        }
        let mut asking = Asking {
            method: method.clone(),
            path,
            headers: self.case.headers.clone(),
            body: self.case.body.as_ref().map(Value::to_string),
        };
        if asking.body.is_some() {
            asking = asking.with("content-type", "application/json");
        }
        if let Some((media_type, bytes)) = self.case.file {
            asking = asking.sending(bytes).with("content-type", media_type);
        }
        if self.takes("Idempotency-Key") {
            asking = asking.with("idempotency-key", "control");
        }
        if self.takes("If-Match") {
            asking = asking.with("if-match", "*");
        }
        match self.case.who {
            Who::Anybody => asking,
            Who::Operator => asking.with("authorization", &self.scene.operator),
            Who::SignedIn => asking.with("authorization", &self.scene.of_role["owner"]),
            Who::Team { may, .. } => {
                let least = ROLES.iter().rev().find(|role| may.contains(role)).copied().unwrap_or("owner");
                asking.with("authorization", &self.scene.of_role[least])
            }
        }
    }

    /// What the case says of who may is what the document says.
    fn check_case(&mut self) {
        let schemes: Vec<&str> = self.operation["security"]
            .as_array()
            .unwrap()
            .iter()
            .map(|requirement| requirement.as_object().unwrap().keys().next().map_or("", String::as_str))
            .collect();
        let agrees = match self.case.who {
            Who::Anybody => schemes.contains(&""),
            Who::Operator => schemes == ["operator"],
            Who::Team { .. } => schemes == ["session", "browser", "key"],
            Who::SignedIn => schemes == ["session", "browser"],
        };
        if !agrees {
            self.complain(&format!("the case says {:?}, the document {schemes:?}", self.case.who));
        }
        let Who::Team { may, may_not } = self.case.who else { return };
        let mut all: Vec<&str> = [may, may_not].concat();
        all.sort_unstable();
        if all != ["admin", "owner", "staff", "viewer"] {
            self.complain("the case does not say of each role once whether it may");
        }
        let documented: Vec<&str> =
            self.operation["x-roles"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if documented.len() != may.len() || !may.iter().all(|role| documented.contains(role)) {
            self.complain(&format!("the case lets {may:?} in, the document {documented:?}"));
        }
    }

    /// It works, for each role that may; else nothing that is refused below would prove anything.
    async fn control(&mut self, valid: &Asking) {
        let mut askings = vec![("control".to_owned(), valid.clone())];
        if let Who::Team { may, .. } = self.case.who {
            askings = may
                .iter()
                .map(|role| {
                    ((*role).to_owned(), valid.clone().with("authorization", &self.scene.of_role[role]))
                })
                .collect();
        }
        for (number, (who, mut asking)) in askings.into_iter().enumerate() {
            if !self.case.prepare.is_empty() {
                self.scene.site.database.execute(self.case.prepare).await;
            }
            if self.takes("Idempotency-Key") {
                asking = asking.with("idempotency-key", format!("control-{number}"));
            }
            let answer = self.scene.ask(&asking).await;
            if !(answer.status.is_success() || answer.status.is_redirection()) {
                self.complain(&format!("{who} must succeed, and got {}", told(&answer)));
            }
        }
    }

    /// Who is of another merchant: 404, no different from a merchant there is not, and written down.
    async fn strangers(&mut self, valid: &Asking) {
        let elsewhere = Asking { path: valid.path.replace("/lagoon", "/no-such-shop"), ..valid.clone() };
        let unknown = self.scene.ask(&elsewhere.with("authorization", &self.scene.stranger)).await;
        let member = &self.scene.of_role["owner"];
        let crossings = [
            (
                "other merchant's credential",
                "credential",
                valid.clone().with("authorization", &self.scene.stranger),
            ),
            (
                "session for the other merchant",
                "credential",
                valid.clone().with("authorization", &self.scene.of_harbour),
            ),
            (
                "X-Tenant-ID of the other merchant",
                "header",
                valid.clone().with("authorization", member).with("x-tenant-id", "harbour"),
            ),
        ];
        for (number, (what, kind, asking)) in crossings.into_iter().enumerate() {
            let id = format!("{}-{number}", self.case.operation);
            let answer = self.scene.ask(&asking.with("x-request-id", &id)).await;
            self.must_refuse(what, &answer, 404, "not_found", "");
            if without_id(&answer) != without_id(&unknown) {
                self.complain(&format!("{what}: told apart from a merchant that does not exist"));
            }
            let expected = format!("{kind}|{}", self.path);
            let recorded = self.scene.crossing(&id).await;
            if recorded != [expected] {
                self.complain(&format!("{what}: in bastide.crossing there is {recorded:?}"));
            }
        }
    }

    /// Nobody, a forged token, a cookie that another site makes a browser send, and each role that may not.
    async fn credentials(&mut self, valid: &Asking) {
        let nobody = valid.clone().without("authorization");
        let open = matches!(self.case.who, Who::Anybody);
        if !open {
            let answer = self.scene.ask(&nobody).await;
            self.must_refuse("no credential", &answer, 401, "unauthenticated", "");
            let (_, token) = self.scene.of_role["owner"].split_once(' ').unwrap();
            let cookie = format!("__Host-bastide_session={token}");
            let with_cookie = nobody.clone().with("cookie", cookie);
            if matches!(self.case.who, Who::Operator) {
                let answer = self.scene.ask(&with_cookie).await;
                self.must_refuse("a cookie", &answer, 401, "unauthenticated", "");
            } else if valid.method != Method::GET {
                let answer = self.scene.ask(&with_cookie).await;
                self.must_refuse("a cookie from nowhere", &answer, 403, "cross_site", "");
                let elsewhere =
                    with_cookie.with("origin", "https://elsewhere.example").with("host", "shop.example");
                let answer = self.scene.ask(&elsewhere).await;
                self.must_refuse("a cookie from another site", &answer, 403, "cross_site", "");
            }
        }
        let scheme = |name| {
            self.operation["security"].as_array().unwrap().iter().any(|one: &Value| !one[name].is_null())
        };
        if scheme("session") {
            let forged = valid.clone().with("authorization", "Bearer eyJhbGciOiJub25lIn0.e30.");
            let answer = self.scene.ask(&forged).await;
            self.must_refuse("a forged token", &answer, 401, "invalid_token", "");
        }
        if matches!(self.case.who, Who::Operator) {
            let session = valid.clone().with("authorization", &self.scene.of_role["owner"]);
            let answer = self.scene.ask(&session).await;
            self.must_refuse("a merchant's session", &answer, 401, "unauthenticated", "");
        }
        let Who::Team { may_not, .. } = self.case.who else { return };
        for role in may_not {
            let answer =
                self.scene.ask(&valid.clone().with("authorization", &self.scene.of_role[role])).await;
            self.must_refuse(&format!("role {role}"), &answer, 403, "forbidden", "");
        }
    }

    /// What is harbour's, asked for under lagoon's path, is what nobody has.
    async fn foreign_ids(&mut self, valid: &Asking) {
        if !self.path.contains("{merchant}") {
            return;
        }
        for (name, ours, theirs) in &self.case.path {
            if ours == theirs {
                self.complain(&format!("the case's {name} of the other merchant is our own"));
            }
            let of = |id: &str| {
                let template = self.path.replace("{merchant}", "lagoon").replace(&format!("{{{name}}}"), id);
                let path = self
                    .case
                    .path
                    .iter()
                    .fold(template, |path, (other, own, _)| path.replace(&format!("{{{other}}}"), own));
                Asking { path, ..valid.clone() }
            };
            let foreign = self.scene.ask(&of(theirs)).await;
            let nobodys = self.scene.ask(&of(&self.id_of_nothing(name))).await;
            self.must_refuse(&format!("other merchant's {name}"), &foreign, 404, "not_found", "");
            if without_id(&foreign) != without_id(&nobodys) {
                self.complain(&format!("other merchant's {name}: told apart from one that does not exist"));
            }
            let nonsense = self.scene.ask(&of("%00")).await;
            self.must_refuse(&format!("{name} that can be none"), &nonsense, 404, "not_found", "");
        }
    }

    fn id_of_nothing(&self, name: &str) -> String {
        let parameter = self.parameter(name).map(|parameter| &parameter["schema"]);
        match parameter.map(|schema| (schema["type"].as_str(), schema["format"].as_str())) {
            Some((Some("integer"), _)) => "9007199254740991".to_owned(),
            Some((_, Some("uuid"))) => "00000000-0000-4000-8000-00000000dead".to_owned(),
            _ => "no-such-thing".to_owned(),
        }
    }

    /// A key that lagoon used says nothing to harbour.
    async fn keys_of_others(&mut self, valid: &Asking) {
        if !self.takes("Idempotency-Key") {
            return;
        }
        let mut path = self.path.replace("{merchant}", "harbour");
        for (name, _, theirs) in &self.case.path {
            path = path.replace(&format!("{{{name}}}"), theirs);
        }
        let asking = Asking { path, ..valid.clone().with("idempotency-key", "control-0") };
        let answer = self.scene.ask(&asking.with("authorization", &self.scene.stranger)).await;
        if !answer.header("idempotency-replayed").is_empty() {
            self.complain("another merchant's idempotency key was answered");
        }
    }

    fn parameter(&self, name: &str) -> Option<&Value> {
        self.operation["parameters"].as_array().unwrap().iter().find(|parameter| parameter["name"] == name)
    }

    fn takes(&self, header: &str) -> bool {
        self.parameter(header)
            .is_some_and(|parameter| parameter["in"] == "header" && parameter["required"] == true)
    }

    fn must_refuse(&mut self, what: &str, answer: &Answer, status: u16, code: &str, pointer: &str) {
        let body: Value = serde_json::from_str(&answer.text).unwrap_or_default();
        let named = pointer.is_empty()
            || body["errors"].as_array().into_iter().flatten().any(|error| error["pointer"] == pointer);
        let is_problem = answer.header("content-type") == "application/problem+json";
        if answer.status.as_u16() != status || body["code"] != code || !named || !is_problem {
            self.complain(&format!("{what} must be {status} {code} {pointer}, and is {}", told(answer)));
        }
        let documented = &self.operation["responses"][status.to_string()]["content"]["application/problem+json"]
            ["schema"]["allOf"][1]["properties"]["code"]["enum"];
        if documented.as_array().is_none_or(|codes| !codes.iter().any(|known| known == code)) {
            self.complain(&format!("{what}: the document does not say that it answers {status} {code}"));
        }
    }

    fn complain(&mut self, what: &str) {
        self.complaints.push(format!("{}: {what}", self.case.operation));
    }
}

fn told(answer: &Answer) -> String {
    format!("{} {}", answer.status, answer.text.chars().take(300).collect::<String>())
}

fn without_id(answer: &Answer) -> Value {
    let mut body: Value = serde_json::from_str(&answer.text).unwrap_or_default();
    body["request_id"] = Value::Null;
    body
}
