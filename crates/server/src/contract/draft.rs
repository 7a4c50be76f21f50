//! An operation being described, by the types of its handler.

use std::collections::{BTreeMap, BTreeSet};

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::Response,
};
use bastide_commerce::Example;
use serde_json::{Map, Value, json};
use utoipa::{
    ToSchema,
    openapi::{RefOr, Schema},
};

use crate::{app::App, asked::Asked, code::Code, problem::Problem};

/// What a handler takes, as far as clients can see it.
pub(crate) trait Input {
    fn describe(draft: &mut Draft);
}

/// What a handler answers when all is well.
pub(crate) trait Output {
    fn describe(draft: &mut Draft);
}

#[derive(Default)]
pub(crate) struct Draft {
    pub(super) parameters: Vec<Value>,
    pub(super) body: Option<Value>,
    /// Of each status below 400, its response object.
    pub(super) answers: BTreeMap<u16, Value>,
    /// Of each of them.
    pub(super) answer_headers: Map<String, Value>,
    pub(super) codes: BTreeSet<Code>,
    pub(super) security: Vec<Value>,
    pub(super) schemas: BTreeMap<String, Value>,
    pub(super) permission: Option<RolesOf>,
}

/// Who may: the permission's name and the roles that have it.
pub(crate) struct RolesOf {
    pub(crate) permission: &'static str,
    pub(crate) roles: Vec<&'static str>,
}

/// Of a server that is up and cannot answer.
const UNAVAILABLE: [Code; 4] =
    [Code::Busy, Code::DatabaseUnavailable, Code::NotIsolated, Code::TenantContextRefused];

impl Draft {
    /// What any operation may answer.
    pub(super) fn new() -> Self {
        let mut draft = Self::default();
        // Invalid: for a parameter nobody knows.
        draft.may_refuse(&[Code::Invalid, Code::RateLimited, Code::Internal, Code::Timeout]);
        draft
    }

    pub(crate) fn may_refuse(&mut self, codes: &[Code]) {
        self.codes.extend(codes);
    }

    pub(crate) fn parameter(
        &mut self,
        place: &str,
        name: &str,
        required: bool,
        description: &str,
        schema: &Value,
    ) {
        self.parameters.push(json!({
            "in": place, "name": name, "required": required, "description": description, "schema": schema
        }));
    }

    /// As OpenAPI has it.
    pub(crate) fn parameter_object(&mut self, parameter: Value) {
        self.parameters.push(parameter);
    }

    pub(crate) fn takes<T: ToSchema + Example>(&mut self) {
        let schema = self.schema::<T>();
        self.body = Some(json!({
            "required": true,
            "content": {"application/json": {"schema": schema, "example": T::example()}}
        }));
    }

    /// A file of one of these media types, as it is.
    pub(crate) fn takes_file(&mut self, media_types: &[&str]) {
        let each = media_types.iter().map(|name| ((*name).to_owned(), json!({})));
        self.body = Some(json!({ "required": true, "content": Value::Object(each.collect()) }));
    }

    pub(crate) fn answers<T: ToSchema + Example>(&mut self, status: StatusCode, description: &str) {
        let schema = self.schema::<T>();
        self.answers_with(status, description, "application/json", &schema, &T::example());
    }

    /// Another media type of the same status stands beside what is there.
    pub(crate) fn answers_with(
        &mut self,
        status: StatusCode,
        description: &str,
        media_type: &str,
        schema: &Value,
        example: &Value,
    ) {
        let answer =
            self.answers.entry(status.as_u16()).or_insert_with(|| json!({ "description": description }));
        answer["content"][media_type] = json!({ "schema": schema, "example": example });
    }

    pub(crate) fn answers_empty(&mut self, status: StatusCode, description: &str) {
        self.answers.insert(status.as_u16(), json!({ "description": description }));
    }

    /// A header of every answer below 400.
    pub(crate) fn answers_header(&mut self, name: &header::HeaderName, description: &str) {
        let header = json!({ "description": description, "schema": { "type": "string" } });
        self.answer_headers.insert(name.as_str().to_owned(), header);
    }

    /// One of what was named is enough; `None` is nothing.
    pub(crate) fn secured(&mut self, scheme: Option<&str>) {
        let mut requirement = Map::new();
        if let Some(scheme) = scheme {
            requirement.insert(scheme.to_owned(), json!([]));
        }
        self.security.push(Value::Object(requirement));
    }

    pub(crate) fn for_roles(&mut self, permission: RolesOf) {
        self.permission = Some(permission);
    }

    /// A reference to the schema, which goes into the document with all that it refers to.
    pub(crate) fn schema<T: ToSchema>(&mut self) -> Value {
        let mut found: Vec<(String, RefOr<Schema>)> = vec![(T::name().into_owned(), T::schema())];
        T::schemas(&mut found);
        let reference = json!({ "$ref": format!("#/components/schemas/{}", T::name()) });
        self.schemas.extend(found.into_iter().map(|(name, schema)| (name, json!(schema))));
        reference
    }
}

impl Input for State<App> {
    fn describe(draft: &mut Draft) {
        draft.may_refuse(&UNAVAILABLE);
    }
}

impl Input for Asked {
    fn describe(_: &mut Draft) {}
}

/// Headers that are read one by one say so in [`Operation`](super::Operation)'s own words.
impl Input for HeaderMap {
    fn describe(_: &mut Draft) {}
}

impl<T: Output> Output for Result<T, Problem> {
    fn describe(draft: &mut Draft) {
        T::describe(draft);
    }
}

impl<T: ToSchema + Example> Output for Json<T> {
    fn describe(draft: &mut Draft) {
        draft.answers::<T>(StatusCode::OK, "Done.");
    }
}

/// Says nothing of what it is: the operation does.
impl Output for Response {
    fn describe(_: &mut Draft) {}
}
