//! The OpenAPI 3.1 document: `/openapi.json`, and its committed copy docs/openapi.json.

use std::collections::BTreeMap;

use axum::{
    body::Bytes,
    http::{HeaderValue, StatusCode},
};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use utoipa::{PartialSchema, ToSchema};

use super::operation::{Operation, Routes};
use crate::{
    code::Code,
    problem::{FieldError, Place, Sent},
    session,
};

/// The document as it is sent.
pub(crate) struct Document {
    pub(crate) json: Bytes,
    pub(crate) etag: HeaderValue,
}

/// Sent as a bearer token.
const SECURITY_SCHEMES: [(&str, &str); 3] = [
    (
        "session",
        "The `token` of `POST /api/v1/auth/merchant/login`. It ends by itself; `refresh` gives the next.",
    ),
    (
        "key",
        "An API key: `pk_…` for storefronts, `sk_…` for what its scopes name, which are the values of `x-permission`.",
    ),
    ("operator", "What the server was started with as `BASTIDE_OPS_TOKEN`."),
];

const BROWSER: &str = "The same in a browser's cookie, as `login` with `cookies` sets it. Whatever is not GET must then come from this very site, by its `Origin` or `Sec-Fetch-Site`.";

impl Document {
    pub(crate) fn of(routes: &Routes) -> Self {
        let json = text(&whole(routes));
        let hash: String = Sha256::digest(&json).iter().take(12).map(|byte| format!("{byte:02x}")).collect();
        // Hexadecimal in quotes is always a header's value.
        let etag = HeaderValue::from_str(&format!("\"{hash}\"")).unwrap_or(HeaderValue::from_static("\"0\""));
        Self { json: Bytes::from(json), etag }
    }
}

/// Pretty, and in an order that no map's decides.
fn text(document: &Value) -> String {
    let mut text = format!("{:#}", sorted(document));
    text.push('\n');
    text
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<&String, &Value> = fields.iter().collect();
            Value::Object(fields.into_iter().map(|(name, value)| (name.clone(), sorted(value))).collect())
        }
        Value::Array(values) => Value::Array(values.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

fn whole(routes: &Routes) -> Value {
    let mut paths = Map::new();
    let mut schemas = problem_schemas();
    for operation in &routes.operations {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method.as_str().to_ascii_lowercase()] = described(operation);
        schemas.extend(operation.draft.schemas.clone());
    }
    let tags: Vec<Value> =
        routes.tags.iter().map(|(name, about)| json!({ "name": name, "description": about })).collect();
    let mut schemes: Map<String, Value> = SECURITY_SCHEMES
        .iter()
        .map(|(name, about)| {
            ((*name).to_owned(), json!({ "type": "http", "scheme": "bearer", "description": about }))
        })
        .collect();
    let browser =
        json!({ "type": "apiKey", "in": "cookie", "name": session::COOKIE, "description": BROWSER });
    schemes.insert("browser".to_owned(), browser);
    let examples: Map<String, Value> = Code::ALL
        .iter()
        .map(|code| (code.name().to_owned(), json!({ "summary": code.title(), "value": example(*code) })))
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Bastide",
            "version": "1",
            "description": "Shops on one database, with walls in between. Conventions: docs/api.md. Every error is a `Problem`.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" }
        },
        "servers": [{ "url": "/" }],
        "tags": tags,
        "paths": paths,
        "components": { "schemas": schemas, "securitySchemes": schemes, "examples": examples }
    })
}

fn described(operation: &Operation) -> Value {
    let draft = &operation.draft;
    let mut responses: Map<String, Value> =
        draft.answers.iter().map(|(status, answer)| (status.to_string(), answer.clone())).collect();
    if !draft.answer_headers.is_empty() {
        responses.values_mut().for_each(|answer| answer["headers"] = json!(draft.answer_headers));
    }
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in &draft.codes {
        by_status.entry(code.status().as_u16()).or_default().push(*code);
    }
    responses
        .extend(by_status.into_iter().map(|(status, codes)| (status.to_string(), refusal(status, &codes))));
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": draft.parameters,
        "security": if draft.security.is_empty() { vec![json!({})] } else { draft.security.clone() },
        "responses": responses
    });
    if let Some(body) = &draft.body {
        described["requestBody"] = body.clone();
    }
    if let Some(needed) = &draft.permission {
        described["x-permission"] = json!(needed.permission);
        described["x-roles"] = json!(needed.roles);
    }
    described
}

/// The shared `Problem`, with the codes this operation can give.
fn refusal(status: u16, codes: &[Code]) -> Value {
    let names: Vec<&str> = codes.iter().map(|code| code.name()).collect();
    let examples: Map<String, Value> = names
        .iter()
        .map(|name| ((*name).to_owned(), json!({ "$ref": format!("#/components/examples/{name}") })))
        .collect();
    let meanings: Vec<String> =
        codes.iter().map(|code| format!("`{}`: {}", code.name(), code.meaning())).collect();
    let mut refusal = json!({
        "description": meanings.join("\n"),
        "content": { "application/problem+json": {
            "schema": { "allOf": [
                { "$ref": "#/components/schemas/Problem" },
                { "type": "object", "properties": { "code": { "type": "string", "enum": names } } }
            ] },
            "examples": examples
        } }
    });
    let asks_to_wait = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE];
    if asks_to_wait.iter().any(|wait| wait.as_u16() == status) {
        refusal["headers"]["Retry-After"] =
            json!({ "description": "Seconds to wait.", "schema": { "type": "integer", "minimum": 1 } });
    }
    refusal
}

fn problem_schemas() -> Map<String, Value> {
    let mut found = vec![(Sent::name().into_owned(), Sent::schema())];
    Sent::schemas(&mut found);
    let mut schemas: Map<String, Value> =
        found.into_iter().map(|(name, schema)| (name, json!(schema))).collect();
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.name()).collect();
    schemas["Problem"]["properties"]["code"]["enum"] = json!(codes);
    let codes: Vec<&str> = crate::code::FieldCode::ALL.iter().map(|code| code.name()).collect();
    schemas["FieldError"]["properties"]["code"]["enum"] = json!(codes);
    schemas
}

fn example(code: Code) -> Value {
    let errors = match code {
        Code::Invalid => {
            vec![FieldError::new(Place::Body, "/email", crate::code::FieldCode::Required, "is missing")]
        }
        _ => Vec::new(),
    };
    json!(Sent {
        r#type: code.address(),
        title: code.title(),
        status: code.status().as_u16(),
        code: code.name(),
        detail: code.meaning(),
        errors: &errors,
        request_id: "0193a1b2-7c3d-7e4f-8a9b-0c1d2e3f4a5b",
    })
}
