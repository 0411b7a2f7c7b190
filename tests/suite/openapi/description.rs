//! The published description of Graph, as a judge of calls: path, method, query, request body, status, answer body.
//!
//! OpenAPI 3.0 is turned into JSON Schema: `nullable` becomes a type, a discriminator becomes a choice by `@odata.type`.
//! Bodies are closed at their top: a property that the description does not know is refused.

use harness::Exchange;
use jsonschema::Validator;
use serde_json::{Map, Value, json};
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;

const BY_TYPE: &str = "-by-type";

/// One version's description.
pub(super) struct Description {
    paths: Value,
    components: Value,
    definitions: Value,
    validators: RefCell<HashMap<String, Rc<Validator>>>,
}

impl Description {
    pub(super) fn of(version: &str) -> Self {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/graph-openapi/{version}.json"));
        let whole: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let schemas = whole["components"]["schemas"].as_object().unwrap();
        let mut definitions = Map::new();
        for (name, schema) in schemas {
            definitions.insert(name.clone(), convert(schema, schemas));
            if schema["x-ms-discriminator"].is_object() {
                definitions.insert(format!("{name}{BY_TYPE}"), by_type(name, &schema["x-ms-discriminator"]));
            }
        }
        Self {
            paths: whole["paths"].clone(),
            components: whole["components"].clone(),
            definitions: Value::Object(definitions),
            validators: RefCell::default(),
        }
    }

    /// Everything about a call that the description does not know.
    pub(super) fn complaints(&self, call: &Exchange) -> Vec<String> {
        let Some((template, item)) = self.find(&call.path) else {
            return vec![format!("no path {} in {}", call.path, call.version)];
        };
        let operation = &item[call.method.to_lowercase()];
        if !operation.is_object() {
            return vec![format!("{} is not a method of {template} in {}", call.method, call.version)];
        }
        let at = format!("{} {template}", call.method);
        let mut complaints = self.query(operation, call);
        let request = &operation["requestBody"]["content"]["application/json"]["schema"];
        match (request.is_object(), call.body.is_null()) {
            (true, false) => complaints.extend(self.check(&format!("{at} request"), request, &call.body)),
            (true, true) if operation["requestBody"]["required"] == true => {
                complaints.push("a body is missing".into())
            }
            (false, false) => complaints.push("a body where there is none".into()),
            (true | false, true) => {}
        }
        if let Some((status, body)) = &call.answer {
            complaints.extend(self.answer(&at, operation, *status, body));
        }
        complaints.into_iter().map(|c| format!("{at}: {c}")).collect()
    }

    /// The template that a path fits, the one with the most literal segments first.
    fn find(&self, path: &str) -> Option<(&str, &Value)> {
        let parts: Vec<&str> = path.split('/').collect();
        let fits = |template: &str| {
            let wanted: Vec<&str> = template.split('/').collect();
            wanted.len() == parts.len()
                && wanted
                    .iter()
                    .zip(&parts)
                    .all(|(w, p)| if w.starts_with('{') { !p.is_empty() } else { w == p })
        };
        let candidates = self.paths.as_object()?.iter().filter(|(template, _)| fits(template));
        candidates.min_by_key(|(template, _)| template.matches('{').count()).map(|(t, i)| (t.as_str(), i))
    }

    fn query(&self, operation: &Value, call: &Exchange) -> Vec<String> {
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        let known: Vec<Value> = parameters.iter().map(|p| self.resolve(p).clone()).collect();
        let is_known = |name: &str| known.iter().any(|p| p["in"] == "query" && p["name"] == name);
        let names = call
            .query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split('=').next().unwrap_or(pair));
        names
            .map(|name| name.replace("%24", "$"))
            // The link to the next page is opaque, and its token is Graph's own.
            .filter(|name| name != "$skiptoken" && !is_known(name))
            .map(|name| format!("unknown query parameter {name}"))
            .collect()
    }

    fn answer(&self, at: &str, operation: &Value, status: u16, body: &Value) -> Vec<String> {
        let responses = &operation["responses"];
        let class = format!("{}XX", status / 100);
        let found = [status.to_string(), class].into_iter().find_map(|key| responses.get(key));
        let Some(found) = found else { return vec![format!("answer {status} is not listed")] };
        let schema = &self.resolve(found)["content"]["application/json"]["schema"];
        match (schema.is_object(), body.is_null()) {
            (true, false) => self.check(&format!("{at} {status}"), schema, body),
            (true, true) => vec![format!("answer {status} has no body")],
            (false, false) => vec![format!("answer {status} has a body")],
            (false, true) => Vec::new(),
        }
    }

    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str().and_then(|r| r.strip_prefix("#/components/")) {
            Some(tail) => self.components.pointer(&format!("/{tail}")).unwrap(),
            None => value,
        }
    }

    /// Validates a body against a schema, closed at its top but for OData's annotations.
    fn check(&self, key: &str, schema: &Value, body: &Value) -> Vec<String> {
        let validator = Rc::clone(self.validators.borrow_mut().entry(key.to_owned()).or_insert_with(|| {
            let schemas = self.components["schemas"].as_object().unwrap();
            let root = json!({
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "$defs": self.definitions,
                "allOf": [convert(schema, schemas)],
                "patternProperties": { "^@odata\\.": true },
                "unevaluatedProperties": false,
            });
            Rc::new(jsonschema::options().should_validate_formats(true).build(&root).unwrap())
        }));
        validator.iter_errors(body).map(|e| format!("{key}: {e} at {}", e.instance_path())).collect()
    }
}

/// A schema of OpenAPI 3.0 as one of JSON Schema.
fn convert(schema: &Value, schemas: &Map<String, Value>) -> Value {
    let Value::Object(schema) = schema else { return schema.clone() };
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let name = reference.trim_start_matches("#/components/schemas/");
        let tail = if schemas[name]["x-ms-discriminator"].is_object() { BY_TYPE } else { "" };
        return json!({ "$ref": format!("#/$defs/{name}{tail}") });
    }
    let mut out = Map::new();
    for (key, value) in schema {
        let converted = match key.as_str() {
            "properties" => {
                let each = value.as_object().unwrap().iter().map(|(k, v)| (k.clone(), convert(v, schemas)));
                Value::Object(each.collect())
            }
            "items" | "additionalProperties" => convert(value, schemas),
            "anyOf" | "oneOf" => value.as_array().unwrap().iter().map(|v| convert(v, schemas)).collect(),
            // A derived schema names its base: the base as it stands, or the choice by type would go round in circles.
            "allOf" => value.as_array().unwrap().iter().map(|v| base(v, schemas)).collect(),
            "type" | "enum" | "format" | "required" | "minimum" | "maximum" | "minItems" | "maxItems"
            | "pattern" => value.clone(),
            _ => continue,
        };
        out.insert(key.clone(), converted);
    }
    if schema.get("nullable") == Some(&Value::Bool(true)) {
        return json!({ "anyOf": [out, { "type": "null" }] });
    }
    Value::Object(out)
}

fn base(schema: &Value, schemas: &Map<String, Value>) -> Value {
    match schema["$ref"].as_str() {
        Some(reference) => json!({ "$ref": reference.replace("#/components/schemas/", "#/$defs/") }),
        None => convert(schema, schemas),
    }
}

/// A base schema, and by the type that an object states, the derived one too; a type that is not listed is refused.
fn by_type(name: &str, discriminator: &Value) -> Value {
    let mapping = discriminator["mapping"].as_object().cloned().unwrap_or_default();
    let states = |kind: &str| json!({ "properties": { "@odata.type": { "const": kind } }, "required": ["@odata.type"] });
    let mut all = vec![json!({ "$ref": format!("#/$defs/{name}") })];
    for (kind, reference) in &mapping {
        let derived = reference.as_str().unwrap().replace("#/components/schemas/", "#/$defs/");
        if !derived.ends_with(&format!("/{name}")) {
            all.push(json!({ "if": states(kind), "then": { "$ref": derived } }));
        }
    }
    let kinds: Vec<&String> = mapping.keys().collect();
    if !kinds.is_empty() {
        all.push(json!({ "properties": { "@odata.type": { "enum": kinds } } }));
    }
    json!({ "allOf": all })
}
