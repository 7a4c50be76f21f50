//! JSON Schema, as far as what we publish uses it. Strict where a general validator is lenient: a keyword it does not know
//! is a mistake in the schema, and so is an object that leaves a field open.

use std::collections::BTreeSet;

use serde_json::Value;

pub struct Schema(Value);

/// What only describes.
const NOTES: [&str; 6] = ["$schema", "$id", "$defs", "title", "description", "format"];

impl Schema {
    /// # Panics
    /// When the schema is not JSON, uses a keyword unknown here, or describes an object whose fields are not all required
    /// and the only ones.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let schema: Value = serde_json::from_str(text).expect("the schema is JSON");
        strict(&schema, "#");
        for (name, definition) in schema["$defs"].as_object().into_iter().flatten() {
            strict(definition, name);
        }
        Self(schema)
    }

    /// Each place where the value is not as the schema says; none when it is.
    #[must_use]
    pub fn complaints(&self, value: &Value) -> Vec<String> {
        let mut complaints = Vec::new();
        self.check(&self.0, value, "", &mut complaints);
        complaints
    }

    fn check(&self, schema: &Value, value: &Value, at: &str, complaints: &mut Vec<String>) {
        if let Some(name) = schema["$ref"].as_str() {
            let there = name.strip_prefix('#').and_then(|pointer| self.0.pointer(pointer));
            return self.check(there.unwrap_or_else(|| panic!("no {name}")), value, at, complaints);
        }
        if let Some(choices) = schema["anyOf"].as_array() {
            let mut tries: Vec<Vec<String>> = Vec::new();
            for choice in choices {
                let mut said = Vec::new();
                self.check(choice, value, at, &mut said);
                tries.push(said);
            }
            // The choice that is nearest says the most.
            let best = tries.into_iter().min_by_key(Vec::len).unwrap_or_default();
            complaints.extend(best);
            return;
        }
        let types: Vec<&str> = match &schema["type"] {
            Value::String(one) => vec![one],
            Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        if !types.is_empty() && !types.iter().any(|name| is(value, name)) {
            complaints.push(format!("{at}: {value} is not of type {}", types.join(" or ")));
            return;
        }
        if schema["enum"].as_array().is_some_and(|words| !words.contains(value)) {
            complaints.push(format!("{at}: {value} is none of {}", schema["enum"]));
        }
        if schema.get("const").is_some_and(|only| only != value) {
            complaints.push(format!("{at}: {value} is not {}", schema["const"]));
        }
        if schema["minimum"].as_f64().zip(value.as_f64()).is_some_and(|(least, number)| number < least) {
            complaints.push(format!("{at}: {value} is too small"));
        }
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            self.check(&schema["items"], item, &format!("{at}/{index}"), complaints);
        }
        if let Some(fields) = value.as_object() {
            for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                if !fields.contains_key(name) {
                    complaints.push(format!("{at}: `{name}` is missing"));
                }
            }
            for (name, field) in fields {
                let inside = format!("{at}/{name}");
                match (schema["properties"].get(name), &schema["additionalProperties"]) {
                    (Some(known), _) => self.check(known, field, &inside, complaints),
                    (None, Value::Bool(_)) => {
                        complaints.push(format!("{at}: `{name}` is not in the schema"));
                    }
                    (None, any) => self.check(any, field, &inside, complaints),
                }
            }
        }
    }
}

fn strict(schema: &Value, at: &str) {
    let Some(schema) = schema.as_object() else { panic!("{at}: a schema is an object") };
    for (word, value) in schema {
        match word.as_str() {
            "properties" => {
                for (name, inner) in value.as_object().into_iter().flatten() {
                    strict(inner, &format!("{at}/{name}"));
                }
            }
            "items" => strict(value, &format!("{at}/items")),
            "anyOf" => value.as_array().into_iter().flatten().for_each(|choice| strict(choice, at)),
            "additionalProperties" if value.is_object() => strict(value, &format!("{at}/*")),
            "type" | "enum" | "const" | "minimum" | "required" | "$ref" | "additionalProperties" => {}
            word => assert!(NOTES.contains(&word), "{at}: the keyword {word} is not known here"),
        }
    }
    if let Some(fields) = schema.get("properties").and_then(Value::as_object) {
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let (required, known): (BTreeSet<&str>, BTreeSet<&str>) =
            (required.collect(), fields.keys().map(String::as_str).collect());
        assert_eq!(required, known, "{at}: every field is there in every report");
        assert_eq!(schema.get("additionalProperties"), Some(&Value::Bool(false)), "{at}: no others");
    }
}

fn is(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => panic!("`{name}` is no type"),
    }
}
