//! Two shops, somebody of each role, and operators: who asks in the driver's tests.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Router,
    body::Body,
    http::{Method, Request},
};
use bastide_server::{
    App, AppConfig, Limits, OpsToken, SessionKey,
    media::{DiskStore, MediaStore},
};
use serde_json::json;
use tempfile::TempDir;

use super::super::site::{ADA, Answer, BEN, PASSWORD, Site, VIEWER};

pub(crate) const ROLES: [&str; 4] = ["owner", "admin", "staff", "viewer"];

const OPERATOR: &str = "0123456789abcdef0123456789abcdef";

pub(crate) struct Scene {
    pub(crate) site: Site,
    /// Of each role at lagoon.
    pub(crate) of_role: BTreeMap<&'static str, String>,
    /// Harbour's admin, nobody at lagoon.
    pub(crate) stranger: String,
    /// An owner of both, signed in for harbour alone.
    pub(crate) of_harbour: String,
    pub(crate) operator: String,
    /// Of pictures; it goes with the scene.
    _media: TempDir,
}

/// One request, before it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Asking {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Option<String>,
}

impl Asking {
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(own, _)| *own != name);
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(own, _)| *own != name);
        self
    }

    pub(crate) fn sending(mut self, body: impl Into<String>) -> Self {
        self.body = Some(body.into());
        self
    }
}

impl Scene {
    pub(crate) async fn open(router: impl FnOnce(&App) -> Router) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let media: Arc<dyn MediaStore> = Arc::new(DiskStore::open(folder.path()).unwrap());
        let config = AppConfig {
            media: Some(media),
            session_key: SessionKey::from_text(&"k".repeat(40)).unwrap(),
            ops_token: Some(OpsToken::from_text(OPERATOR).unwrap()),
            crossings_per_minute: 1_000_000,
            limits: Limits::none(),
            ..AppConfig::default()
        };
        let site = Site::serving(config, router).await;
        site.database
            .execute(
                "INSERT INTO public.users (id, email, name, password_hash, is_active) \
                 SELECT gen_random_uuid(), name || '@lagoon.test', name, (SELECT password_hash FROM public.users WHERE email = 'ada@lagoon.test'), true \
                 FROM unnest(ARRAY['admin', 'staff', 'both']) name;
                 INSERT INTO public.team_members (merchant_id, user_id, role) \
                 SELECT m.id, u.id, v.role FROM (VALUES ('lagoon', 'admin', 'admin'), ('lagoon', 'staff', 'staff'), ('lagoon', 'both', 'owner'), ('harbour', 'both', 'owner')) \
                     v (slug, name, role) JOIN public.merchants m ON m.slug = v.slug JOIN public.users u ON u.email = v.name || '@lagoon.test'",
            )
            .await;
        let mut of_role = BTreeMap::new();
        for (role, email) in ROLES.into_iter().zip([ADA, "admin@lagoon.test", "staff@lagoon.test", VIEWER]) {
            of_role.insert(role, site.bearer(email).await);
        }
        let both = json!({ "email": "both@lagoon.test", "password": PASSWORD, "merchant": "harbour" });
        let of_harbour = site.login(&both).await.json()["token"].as_str().unwrap().to_owned();
        Self {
            of_role,
            stranger: site.bearer(BEN).await,
            of_harbour: format!("Bearer {of_harbour}"),
            operator: format!("Bearer {OPERATOR}"),
            _media: folder,
            site,
        }
    }

    pub(crate) async fn ask(&self, asking: &Asking) -> Answer {
        let mut request = Request::builder().method(asking.method.clone()).uri(&asking.path);
        for (name, value) in &asking.headers {
            request = request.header(*name, value);
        }
        self.site.send(request.body(asking.body.clone().map_or_else(Body::empty, Body::from)).unwrap()).await
    }

    /// How many rows every table has and which transactions wrote them, but for the record of crossings and the
    /// counts of attempts, which are about what was refused.
    pub(crate) async fn rows(&self) -> String {
        let sql = "SELECT string_agg(c.oid::regclass || query_to_xml(format('SELECT count(*), sum(xmin::text::bigint) FROM %s', c.oid::regclass), true, true, '')::text, '' \
                       ORDER BY c.oid) \
             FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace::regnamespace::text IN ('public', 'bastide') AND c.relname NOT IN ('crossing', 'attempt')";
        self.site.database.query_one_text(sql).await
    }

    /// What was recorded of a request: the kind of crossing and the route.
    pub(crate) async fn crossing(&self, request_id: &str) -> Vec<String> {
        self.site.app.record_crossings().await;
        let recorded = self
            .site
            .database
            .query_rows("SELECT request_id, kind, route FROM bastide.crossing ORDER BY id")
            .await;
        let mine = recorded.iter().filter_map(|row| row.strip_prefix(&format!("{request_id}|")));
        mine.map(str::to_owned).collect()
    }
}
