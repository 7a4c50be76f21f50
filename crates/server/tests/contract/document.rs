//! The committed documents are fresh, and the API's says everything of every operation.

use std::{collections::BTreeSet, fs, path::PathBuf};

use jsonschema::Validator;
use serde_json::{Map, Value, json};

use crate::driver::operations;

/// `operationId`s begin with one of these.
const VERBS: [&str; 26] = [
    "accept", "add", "adjust", "cancel", "check", "create", "delete", "deliver", "erase", "export", "fulfil",
    "get", "invite", "list", "move", "pay", "refresh", "refund", "remove", "replace", "revoke", "search",
    "set", "sign", "update", "watch",
];

pub(crate) fn openapi() -> Value {
    serde_json::from_slice(bastide_server::openapi()).unwrap()
}

#[test]
fn committed_documents_are_what_the_code_says() {
    let docs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let written = std::env::var_os("BASTIDE_WRITE_DOCS").is_some();
    let mut stale = Vec::new();
    let made = [
        ("openapi.json", String::from_utf8(bastide_server::openapi().to_vec()).unwrap()),
        ("problems.md", bastide_server::problems()),
    ];
    for (name, fresh) in made {
        let path = docs.join(name);
        if written {
            fs::write(&path, &fresh).unwrap();
        }
        if fs::read_to_string(&path).unwrap_or_default() != fresh {
            stale.push(name);
        }
    }
    assert!(
        stale.is_empty(),
        "docs/{stale:?}: write them anew with BASTIDE_WRITE_DOCS=1 cargo nextest run -p bastide-server committed_documents"
    );
}

#[test]
fn every_operation_says_what_it_takes_gives_and_refuses() {
    let document = openapi();
    let mut complaints = Vec::new();
    let mut ids = BTreeSet::new();
    let tags: Vec<&Value> = document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    for (path, method, operation) in operations(&document) {
        let mut complain = |what: &str| complaints.push(format!("{method} {path}: {what}"));
        let id = operation["operationId"].as_str().unwrap_or_default();
        if !VERBS.contains(&id.split('_').next().unwrap_or_default()) {
            complain(&format!("operationId {id:?} does not begin with a verb of the list in this test"));
        }
        if !ids.insert(id.to_owned()) {
            complain(&format!("operationId {id} is another's, too"));
        }
        if operation["summary"].as_str().unwrap_or_default().is_empty() {
            complain("no summary");
        }
        if operation["tags"].as_array().is_none_or(|own| own.len() != 1 || !tags.contains(&&own[0])) {
            complain("not one tag that the document explains");
        }
        parameters(&path, &operation, &mut complain);
        security(&path, &operation, &document, &mut complain);
        responses(&operation, &mut complain);
        if let Some(body) = operation.get("requestBody") {
            let json = &body["content"]["application/json"];
            if json.is_object() {
                example_fits("request body", json, &document, &mut complain);
                strict(&json["schema"], &document, "", &mut complain);
            } else if body["content"].as_object().is_none_or(Map::is_empty) {
                complain("its request body has no media type");
            }
        }
    }
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

fn parameters(path: &str, operation: &Value, complain: &mut impl FnMut(&str)) {
    let parameters = operation["parameters"].as_array().unwrap();
    for parameter in parameters {
        let name = parameter["name"].as_str().unwrap();
        if parameter["description"].as_str().unwrap_or_default().is_empty() {
            complain(&format!("parameter {name} is not described"));
        }
        if parameter["schema"].is_null() {
            complain(&format!("parameter {name} has no schema"));
        }
    }
    let named: BTreeSet<&str> = path.split('{').skip(1).filter_map(|part| part.split('}').next()).collect();
    let described: BTreeSet<&str> = parameters
        .iter()
        .filter(|parameter| parameter["in"] == "path")
        .filter_map(|parameter| parameter["name"].as_str())
        .collect();
    if named != described {
        complain(&format!("the path has {named:?}, its parameters are {described:?}"));
    }
}

fn security(path: &str, operation: &Value, document: &Value, complain: &mut impl FnMut(&str)) {
    let schemes = document["components"]["securitySchemes"].as_object().unwrap();
    let wanted = operation["security"].as_array().unwrap();
    if wanted.is_empty() {
        complain("no security");
    }
    for name in wanted.iter().flat_map(|requirement| requirement.as_object().unwrap().keys()) {
        if !schemes.contains_key(name) {
            complain(&format!("security scheme {name} is not in the document"));
        }
    }
    let is_admin = path.starts_with("/api/v1/admin/");
    if is_admin && (wanted.contains(&json!({})) || operation["x-roles"].as_array().is_none_or(Vec::is_empty))
    {
        complain("an admin route names no credential, or no roles");
    }
}

fn responses(operation: &Value, complain: &mut impl FnMut(&str)) {
    let document = openapi();
    let responses = operation["responses"].as_object().unwrap();
    if !responses.keys().any(|status| status.starts_with('2')) {
        complain("no answer below 300");
    }
    for (status, response) in responses {
        if response["description"].as_str().unwrap_or_default().is_empty() {
            complain(&format!("{status} is not described"));
        }
        if status.as_str() >= "400" {
            let schema = &response["content"]["application/problem+json"]["schema"];
            let codes = schema["allOf"][1]["properties"]["code"]["enum"].as_array();
            if schema["allOf"][0]["$ref"] != "#/components/schemas/Problem" || codes.is_none_or(Vec::is_empty)
            {
                complain(&format!("{status} is no Problem with its codes"));
            }
            let known = document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]
                .as_array()
                .unwrap();
            for code in codes.into_iter().flatten().filter(|code| !known.contains(code)) {
                complain(&format!("{status}: {code} is no code"));
            }
        } else {
            for (media_type, content) in response["content"].as_object().into_iter().flatten() {
                example_fits(&format!("{status} {media_type}"), content, &document, complain);
            }
        }
    }
}

/// The example is there and is what the schema says.
fn example_fits(what: &str, content: &Value, document: &Value, complain: &mut impl FnMut(&str)) {
    match content.get("example") {
        None => complain(&format!("{what} has no example")),
        Some(example) => {
            for error in validator(&content["schema"], document).iter_errors(example) {
                complain(&format!("the example of {what} at {:?}: {error}", error.instance_path().as_str()));
            }
        }
    }
}

/// Against the schema in question, with the document's components in reach.
fn validator(schema: &Value, document: &Value) -> Validator {
    let mut whole = json!({ "components": document["components"] });
    whole.as_object_mut().unwrap().extend(schema.as_object().unwrap().clone());
    jsonschema::draft202012::new(&whole).unwrap()
}

/// A field nobody knows must not pass: neither here nor in anything within.
fn strict(schema: &Value, document: &Value, pointer: &str, complain: &mut impl FnMut(&str)) {
    if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
        return strict(&document["components"]["schemas"][name], document, pointer, complain);
    }
    if schema["type"] == "object"
        && schema["properties"].is_object()
        && schema["additionalProperties"] != json!(false)
    {
        complain(&format!("its body takes unknown fields at {pointer:?}: deny_unknown_fields is missing"));
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        strict(property, document, &format!("{pointer}/{name}"), complain);
    }
    if schema["items"].is_object() {
        strict(&schema["items"], document, &format!("{pointer}/0"), complain);
    }
    for list in ["allOf", "anyOf", "oneOf"] {
        for part in schema[list].as_array().into_iter().flatten() {
            strict(part, document, pointer, complain);
        }
    }
}

#[test]
fn every_schema_is_one_and_its_examples_fit() {
    let document = openapi();
    let mut complaints = Vec::new();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        if let Err(error) = jsonschema::meta::validate(schema) {
            complaints.push(format!("{name}: {error}"));
        }
        for (field, property) in schema["properties"].as_object().into_iter().flatten() {
            if let Some(example) = property
                .get("example")
                .filter(|_| !validator(property, &document).is_valid(&property["example"]))
            {
                complaints.push(format!("{name}.{field}: the example {example} does not fit"));
            }
        }
    }
    let problem = json!({ "$ref": "#/components/schemas/Problem" });
    for (code, example) in document["components"]["examples"].as_object().unwrap() {
        for error in validator(&problem, &document).iter_errors(&example["value"]) {
            complaints.push(format!("problem {code}: {error}"));
        }
    }
    let text = document.to_string();
    for part in text.split("\"$ref\":\"#").skip(1) {
        let pointer = part.split('"').next().unwrap();
        if document.pointer(pointer).is_none() {
            complaints.push(format!("{pointer} is referred to and not there"));
        }
    }
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}
