//! A route with its description, and the one collection routes are served from.

use std::sync::Arc;

use axum::{
    Router,
    handler::Handler,
    http::{HeaderName, Method, StatusCode},
    middleware,
    routing::{MethodFilter, MethodRouter, on},
};
use bastide_commerce::Example;
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    draft::{Draft, Input, Output},
    query_names,
};
use crate::{app::App, code::Code, limits};

/// One method of one path.
pub(crate) struct Operation {
    pub(super) method: Method,
    pub(super) path: &'static str,
    /// `operationId`: a verb first, and for ever.
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    pub(super) tag: &'static str,
    pub(super) draft: Draft,
    handler: MethodRouter<App>,
}

macro_rules! methods {
    ($($function:ident $method:ident;)*) => {
        $(
            /// Path, `operationId` (a verb first), summary and handler.
            #[allow(dead_code, reason = "not every method has a route yet")]
            pub(crate) fn $function<H, T>(
                path: &'static str,
                id: &'static str,
                summary: &'static str,
                handler: H,
            ) -> Operation
            where
                H: Handler<T, App> + Described<T>,
                T: 'static,
            {
                Operation::new(Method::$method, MethodFilter::$method, path, id, summary, handler)
            }
        )*
    };
}

methods! {
    get GET;
    post POST;
    put PUT;
    patch PATCH;
    delete DELETE;
}

impl Operation {
    fn new<H, T>(
        method: Method,
        filter: MethodFilter,
        path: &'static str,
        id: &'static str,
        summary: &'static str,
        handler: H,
    ) -> Self
    where
        H: Handler<T, App> + Described<T>,
        T: 'static,
    {
        let mut draft = Draft::new();
        H::describe(&mut draft);
        Self { method, path, id, summary, tag: "", draft, handler: on(filter, handler) }
    }

    /// Beyond what its inputs may refuse.
    pub(crate) fn refuses(mut self, codes: &[Code]) -> Self {
        self.draft.may_refuse(codes);
        self
    }

    /// For handlers that answer with a `Response` of their own making.
    pub(crate) fn answers<T: ToSchema + Example>(mut self, status: StatusCode, description: &str) -> Self {
        self.draft.answers::<T>(status, description);
        self
    }

    /// As [`Operation::answers`], for what is not JSON.
    pub(crate) fn answers_with(
        mut self,
        status: StatusCode,
        description: &str,
        media_type: &str,
        schema: &Value,
        example: &Value,
    ) -> Self {
        self.draft.answers_with(status, description, media_type, schema, example);
        self
    }

    pub(crate) fn answers_empty(mut self, status: StatusCode, description: &str) -> Self {
        self.draft.answers_empty(status, description);
        self
    }

    /// A header that the handler reads by itself.
    pub(crate) fn reads(mut self, header: &HeaderName, description: &str, schema: &Value) -> Self {
        self.draft.parameter("header", header.as_str(), false, description, schema);
        self
    }

    fn query_names(&self) -> Arc<[String]> {
        let queries = self.draft.parameters.iter().filter(|parameter| parameter["in"] == "query");
        queries.filter_map(|parameter| parameter["name"].as_str()).map(str::to_owned).collect()
    }
}

/// Routes of one resource, or of all.
#[derive(Default)]
pub(crate) struct Routes {
    router: Router<App>,
    tag: &'static str,
    pub(super) operations: Vec<Operation>,
    /// Each with what it is about.
    pub(super) tags: Vec<(&'static str, &'static str)>,
}

impl Routes {
    /// Of one resource, under its name.
    pub(crate) fn of(tag: &'static str, about: &'static str) -> Self {
        Self { tag, tags: vec![(tag, about)], ..Self::default() }
    }

    pub(crate) fn with(mut self, mut operation: Operation) -> Self {
        let known = operation.query_names();
        let handler =
            std::mem::take(&mut operation.handler).route_layer(middleware::from_fn(move |request, next| {
                query_names::check(known.clone(), request, next)
            }));
        operation.tag = self.tag;
        if limits::UNLIMITED.contains(&operation.path) {
            operation.draft.codes.remove(&Code::RateLimited);
        }
        self.router = self.router.route(operation.path, handler);
        self.operations.push(operation);
        self
    }

    pub(crate) fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.operations.extend(other.operations);
        self.tags.extend(other.tags);
        self
    }

    pub(crate) fn into_router(self) -> Router<App> {
        self.router
    }
}

/// A handler whose arguments and answer can be described. `T` is what [`Handler`] calls the same thing.
pub(crate) trait Described<T> {
    fn describe(draft: &mut Draft);
}

impl<F, Fut, O> Described<((),)> for F
where
    F: Fn() -> Fut,
    Fut: Future<Output = O>,
    O: Output,
{
    fn describe(draft: &mut Draft) {
        O::describe(draft);
    }
}

macro_rules! described {
    ($($input:ident),*) => {
        impl<F, Fut, O, M, $($input),*> Described<(M, $($input,)*)> for F
        where
            F: Fn($($input),*) -> Fut,
            Fut: Future<Output = O>,
            O: Output,
            $($input: Input,)*
        {
            fn describe(draft: &mut Draft) {
                $($input::describe(draft);)*
                O::describe(draft);
            }
        }
    };
}

described!(T1);
described!(T1, T2);
described!(T1, T2, T3);
described!(T1, T2, T3, T4);
described!(T1, T2, T3, T4, T5);
described!(T1, T2, T3, T4, T5, T6);
described!(T1, T2, T3, T4, T5, T6, T7);
