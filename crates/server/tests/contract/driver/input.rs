//! What no operation may take: derived from its description, and the case's own.

use serde_json::{Map, Value, json};

use super::{Trial, case::Wrong, scene::Asking};

/// Twice the limit of a body.
const TOO_MANY_BYTES: usize = 128 * 1024;

impl Trial<'_> {
    pub(super) async fn bad_input(&mut self, valid: &Asking) {
        let more = if valid.path.contains('?') { '&' } else { '?' };
        let strange = Asking { path: format!("{}{more}zz_unknown=1", valid.path), ..valid.clone() };
        self.refused("an unknown parameter", &strange, 422, "invalid", "/zz_unknown").await;
        if let Some(body) = &self.case.body {
            self.bad_bodies(valid, body).await;
        }
        if self.case.file.is_some() {
            let other = valid.clone().with("content-type", "text/html");
            self.refused("a file of another type", &other, 415, "unsupported_media_type", "").await;
            let none = valid.clone().without("content-type");
            self.refused("a file of no type", &none, 415, "unsupported_media_type", "").await;
            let empty = valid.clone().sending("");
            self.refused("an empty file", &empty, 422, "image_invalid", "").await;
        }
        if self.takes("Idempotency-Key") {
            let none = valid.clone().without("idempotency-key");
            self.refused("no idempotency key", &none, 400, "idempotency_key_required", "").await;
        }
        if self.takes("If-Match") {
            self.refused("no If-Match", &valid.clone().without("if-match"), 428, "if_match_required", "")
                .await;
            let stale = valid.clone().with("if-match", "\"never\"");
            self.refused("a stale If-Match", &stale, 412, "stale_version", "").await;
        }
        let plain = valid.path.split('?').next().unwrap_or_default();
        for bad in &self.case.bad {
            let (what, asking) = match &bad.what {
                Wrong::Body(body) => (body.to_string(), valid.clone().sending(body.to_string())),
                Wrong::Query(query) => {
                    ((*query).to_owned(), Asking { path: format!("{plain}?{query}"), ..valid.clone() })
                }
            };
            self.refused(&what, &asking, bad.status, bad.code, bad.pointer).await;
        }
    }

    async fn bad_bodies(&mut self, valid: &Asking, body: &Value) {
        let text = body.to_string();
        let kind = valid.clone().with("content-type", "text/plain");
        self.refused("a body of another type", &kind, 415, "unsupported_media_type", "").await;
        let none = valid.clone().without("content-type");
        self.refused("a body of no type", &none, 415, "unsupported_media_type", "").await;
        for broken in ["", &text[..text.len() - 1], "\u{1}"] {
            let asking = valid.clone().sending(broken);
            self.refused(&format!("the body {broken:?}"), &asking, 400, "malformed_json", "").await;
        }
        let large = valid.clone().sending(format!("{text}{}", " ".repeat(TOO_MANY_BYTES)));
        self.refused("a large body", &large, 413, "too_large", "").await;
        let deep = valid.clone().sending(format!("{}{}", "[".repeat(100), "]".repeat(100)));
        self.refused("a deep body", &deep, 400, "too_deep", "").await;
        self.refused("a list", &valid.clone().sending("[]"), 422, "invalid", "").await;

        let mut more = body.clone();
        more["zz_unknown"] = json!(1);
        let asking = valid.clone().sending(more.to_string());
        self.refused("an unknown field", &asking, 422, "invalid", "/zz_unknown").await;
        let schema = self.resolved(&self.operation["requestBody"]["content"]["application/json"]["schema"]);
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let mut other = body.clone();
            other[name] = if takes_lists(&self.resolved(property)) { json!(7) } else { json!([]) };
            let asking = valid.clone().sending(other.to_string());
            self.refused(&format!("{name} of another type"), &asking, 422, "invalid", &format!("/{name}"))
                .await;
        }
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let less: Map<String, Value> = body
                .as_object()
                .unwrap()
                .iter()
                .filter(|(own, _)| *own != name)
                .map(|(own, value)| (own.clone(), value.clone()))
                .collect();
            let asking = valid.clone().sending(Value::Object(less).to_string());
            self.refused(&format!("no {name}"), &asking, 422, "invalid", &format!("/{name}")).await;
        }
    }

    async fn refused(&mut self, what: &str, asking: &Asking, status: u16, code: &str, pointer: &str) {
        let mut asking = asking.clone();
        // One that was answered before would be answered again.
        if let Some(key) = asking.headers.iter_mut().find(|(name, _)| *name == "idempotency-key") {
            key.1 = "refused".to_owned();
        }
        let answer = self.scene.ask(&asking).await;
        self.must_refuse(what, &answer, status, code, pointer);
    }

    fn resolved(&self, schema: &Value) -> Value {
        match schema["$ref"].as_str().and_then(|reference| self.document.pointer(&reference[1..])) {
            Some(found) => found.clone(),
            None => schema.clone(),
        }
    }
}

fn takes_lists(schema: &Value) -> bool {
    schema["type"] == "array"
        || schema["type"].as_array().is_some_and(|types| types.contains(&json!("array")))
}
