//! Asks the finished API as two merchants and tries to cross. Looks from outside, over HTTP, with what a browser has.

use reqwest::{Client, Method, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{DEMO_PASSWORD, LogIn};

/// What was asked and what came of it.
#[derive(Clone, Debug, Serialize)]
pub struct CrossingCheck {
    /// Requests that had to succeed, and did, with rows of the right merchant.
    pub answered: usize,
    /// Requests that had to be refused, and were.
    pub refused: usize,
    /// What was not as it had to be, one sentence each. Empty: nothing crossed.
    pub crossed: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
#[error("the API did not answer {url}: {source}")]
pub struct CrossingError {
    url: String,
    source: reqwest::Error,
}

/// # Errors
/// When the server cannot be talked to at all; everything it answers is judged, not an error.
pub async fn try_to_cross(base: &str, log_ins: &[LogIn; 2]) -> Result<CrossingCheck, CrossingError> {
    let mut probe = Probe {
        base,
        client: Client::new(),
        check: CrossingCheck { answered: 0, refused: 0, crossed: Vec::new() },
    };
    let mut tokens = Vec::new();
    let mut orders: Vec<Vec<String>> = Vec::new();
    for log_in in log_ins {
        let body = json!({ "email": log_in.email, "password": DEMO_PASSWORD });
        let (status, answer) =
            probe.ask(Method::POST, "/api/v1/auth/merchant/login", None, Some(&body)).await?;
        let token = answer["token"].as_str().unwrap_or_default().to_owned();
        probe.expect(status == StatusCode::OK && !token.is_empty(), || {
            format!("{} cannot sign in: {status}", log_in.email)
        });

        let products = format!("/api/v1/storefront/{}/products?limit=100", log_in.merchant);
        let (status, answer) = probe.ask(Method::GET, &products, None, None).await?;
        probe.expect(status == StatusCode::OK && !ids(&answer).is_empty(), || {
            format!("GET {products} without products: {status}")
        });

        let path = format!("/api/v1/admin/{}/orders?limit=100", log_in.merchant);
        let (status, answer) = probe.ask(Method::GET, &path, Some(&token), None).await?;
        probe.expect(status == StatusCode::OK && !ids(&answer).is_empty(), || {
            format!("GET {path} without orders: {status}")
        });
        orders.push(ids(&answer));
        tokens.push(token);
    }
    let shared = orders[0].iter().filter(|id| orders[1].contains(id)).count();
    probe.expect(shared == 0, || format!("{shared} orders show in both shops"));

    for (mine, other) in [(0, 1), (1, 0)] {
        let (me, them) = (&log_ins[mine], &log_ins[other]);
        let path = format!("/api/v1/admin/{}/orders", them.merchant);
        for (token, why) in [
            (Some(tokens[mine].as_str()), "another merchant's token"),
            (None, "no token"),
            (Some("forged.token"), "a forged token"),
        ] {
            let (status, answer) = probe.ask(Method::GET, &path, token, None).await?;
            let refused =
                matches!(status, StatusCode::NOT_FOUND | StatusCode::UNAUTHORIZED) && ids(&answer).is_empty();
            probe.refuse(refused, || format!("GET {path} with {why} answered {status}"));
        }
        let body = json!({ "email": me.email, "password": "wrong" });
        let (status, _) = probe.ask(Method::POST, "/api/v1/auth/merchant/login", None, Some(&body)).await?;
        probe.refuse(status == StatusCode::UNAUTHORIZED, || format!("a wrong password answered {status}"));
    }
    // The path names one merchant and the header another.
    let path = format!("/api/v1/admin/{}/orders", log_ins[0].merchant);
    let (status, answer) = probe.ask_as_tenant(&path, &tokens[0], log_ins[1].merchant).await?;
    probe.refuse(status == StatusCode::NOT_FOUND && ids(&answer).is_empty(), || {
        format!("GET {path} with X-Tenant-ID of another answered {status}")
    });
    // What injected SQL would look like in a path.
    for slug in ["%27%20OR%20true--", "no-such-shop", "atelier-lumiere%00"] {
        let path = format!("/api/v1/storefront/{slug}/products");
        let (status, answer) = probe.ask(Method::GET, &path, None, None).await?;
        probe.refuse(status.is_client_error() && ids(&answer).is_empty(), || {
            format!("GET {path} answered {status}")
        });
    }
    Ok(probe.check)
}

struct Probe<'a> {
    base: &'a str,
    client: Client,
    check: CrossingCheck,
}

impl Probe<'_> {
    async fn ask(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Value), CrossingError> {
        let url = format!("{}{path}", self.base);
        let mut request = self.client.request(method, &url);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        answer(url, request).await
    }

    async fn ask_as_tenant(
        &self,
        path: &str,
        token: &str,
        tenant: &str,
    ) -> Result<(StatusCode, Value), CrossingError> {
        let url = format!("{}{path}", self.base);
        let request = self.client.get(&url).bearer_auth(token).header("X-Tenant-ID", tenant);
        answer(url, request).await
    }

    fn expect(&mut self, good: bool, otherwise: impl FnOnce() -> String) {
        if good { self.check.answered += 1 } else { self.check.crossed.push(otherwise()) }
    }

    fn refuse(&mut self, good: bool, otherwise: impl FnOnce() -> String) {
        if good { self.check.refused += 1 } else { self.check.crossed.push(otherwise()) }
    }
}

async fn answer(url: String, request: reqwest::RequestBuilder) -> Result<(StatusCode, Value), CrossingError> {
    let failed = |source| CrossingError { url: url.clone(), source };
    let response = request.send().await.map_err(failed)?;
    let status = response.status();
    let text = response.text().await.map_err(failed)?;
    Ok((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
}

/// The ids of a page's rows, as text.
fn ids(answer: &Value) -> Vec<String> {
    answer["data"].as_array().into_iter().flatten().map(|row| row["id"].to_string()).collect()
}
