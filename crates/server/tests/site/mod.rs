//! The migrated shop with the server before it, asked in process.
#![allow(dead_code, reason = "each test binary uses a part")]

#[path = "../../../commerce/tests/shop/mod.rs"]
pub(crate) mod shop;

use std::time::Duration;

use argon2::{Algorithm, Argon2, Params, Version, password_hash::PasswordHasher};
use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderMap, Method, Request, StatusCode},
};
use bastide_server::{App, AppConfig, SessionKey};
use bastide_tenancy::PoolConfig;
use bastide_testkit::{Database, Server};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

pub(crate) const ADA: &str = "ada@lagoon.test";
pub(crate) const BEN: &str = "ben@harbour.test";
pub(crate) const VIEWER: &str = "view@lagoon.test";
pub(crate) const PASSWORD: &str = "correct horse battery staple";

pub(crate) struct Site {
    pub(crate) server: Server,
    pub(crate) database: Database,
    pub(crate) app: App,
    router: Router,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Checks that the answer is problem+json of this status, and gives its code.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16) -> String {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let body = self.json();
        assert_eq!(body["status"], status);
        assert_eq!(body["request_id"], self.header("x-request-id"));
        assert!(body["errors"].is_array() && !body["title"].as_str().unwrap().is_empty());
        body["code"].as_str().unwrap().to_owned()
    }
}

impl Site {
    pub(crate) async fn open() -> Self {
        Self::with(AppConfig {
            session_key: SessionKey::from_text(&"k".repeat(40)).unwrap(),
            ..AppConfig::default()
        })
        .await
    }

    pub(crate) async fn with(config: AppConfig) -> Self {
        Self::serving(config, App::router).await
    }

    pub(crate) async fn serving(config: AppConfig, router: impl FnOnce(&App) -> Router) -> Self {
        let (server, database) = shop::migrated().await;
        // Cheap on purpose: the tests are about who gets in, not about how long hashing takes.
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(64, 1, 1, None).unwrap());
        let hash = argon2.hash_password(PASSWORD.as_bytes()).unwrap().to_string();
        database
            .client()
            .await
            .execute("UPDATE public.users SET password_hash = $1", &[&hash])
            .await
            .unwrap();
        let pool = shop::pool(
            &database,
            PoolConfig { wait: Duration::from_millis(500), size: 4, ..PoolConfig::default() },
        )
        .await;
        let app = App::new(pool, config);
        let router = router(&app);
        Self { server, database, app, router }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        // A stream of events has no end that one could wait for.
        let endless = parts.headers.get("content-type").is_some_and(|kind| kind == "text/event-stream");
        let bytes = if endless { Bytes::new() } else { body.collect().await.unwrap().to_bytes() };
        Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    pub(crate) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask(Method::GET, path, headers).await
    }

    pub(crate) async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
        let request = Request::builder().method(method).uri(path);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn login(&self, body: &Value) -> Answer {
        self.post("/api/v1/auth/merchant/login", body, &[]).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value, headers: &[(&str, &str)]) -> Answer {
        self.write(Method::POST, path, body, headers).await
    }

    pub(crate) async fn write(
        &self,
        method: Method,
        path: &str,
        body: &Value,
        headers: &[(&str, &str)],
    ) -> Answer {
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    /// A bearer header of somebody who signed in.
    pub(crate) async fn bearer(&self, email: &str) -> String {
        let answer = self.login(&json!({"email": email, "password": PASSWORD})).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        format!("Bearer {}", answer.json()["token"].as_str().unwrap())
    }
}
