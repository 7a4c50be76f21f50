//! Pictures over real requests, on a real disk.

mod site;

use std::{fs, path::Path, sync::Arc};

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use bastide_server::{
    AppConfig, SessionKey,
    media::{DiskStore, MediaStore, orphans},
};
use bastide_tenancy::{PoolConfig, TenantId};
use serde_json::json;
use site::{ADA, Answer, BEN, Site, shop};

const GIF: &[u8] = b"GIF89a\x01\0\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02L\x01\0;";
const LAGOON: &str = "aaaaaaaa-0000-4000-8000-000000000001";

async fn open(folder: &Path) -> Site {
    let media: Arc<dyn MediaStore> = Arc::new(DiskStore::open(folder).unwrap());
    let session_key = SessionKey::from_text(&"k".repeat(40)).unwrap();
    Site::with(AppConfig { session_key, media: Some(media), ..AppConfig::default() }).await
}

async fn upload(site: &Site, bearer: &str, path: &str, kind: &str, bytes: &[u8]) -> Answer {
    let request = Request::post(path).header("content-type", kind).header("authorization", bearer);
    site.send(request.body(Body::from(bytes.to_vec())).unwrap()).await
}

/// Every file beneath a folder, from there.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            found.extend(files(&path).into_iter().map(|file| format!("{name}/{file}")));
        } else {
            found.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn a_picture_is_kept_by_what_is_in_it_and_shown_by_its_merchant_alone() {
    let folder = tempfile::tempdir().unwrap();
    let site = open(folder.path()).await;
    let ada = site.bearer(ADA).await;
    let first = site
        .database
        .query_one_text(&format!("SELECT min(id) FROM public.products WHERE merchant_id = '{LAGOON}'"))
        .await;
    let product = format!("/api/v1/admin/lagoon/products/{first}");
    let media = format!("{product}/media");
    let made = upload(&site, &ada, &media, "image/png", GIF).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let (id, file) = (made.json()["id"].clone(), made.json()["file"].as_str().unwrap().to_owned());
    assert!(file.ends_with(".gif"), "what it is, not what it was said to be: {file}");
    assert_eq!(upload(&site, &ada, &media, "image/gif", GIF).await.json()["id"], id, "the same one");
    assert_eq!(files(folder.path()), [format!("{LAGOON}/{}/{file}", &file[..2])]);

    let shown = site.get(&format!("/media/lagoon/{file}"), &[]).await;
    assert_eq!((shown.status, shown.text.as_bytes()), (StatusCode::OK, GIF));
    assert_eq!(shown.header("content-type"), "image/gif");
    assert_eq!(shown.header("x-content-type-options"), "nosniff");
    assert_eq!(shown.header("content-disposition"), "inline");
    assert!(shown.header("cache-control").contains("immutable"));
    for path in [
        format!("/media/harbour/{file}"),
        format!("/media/lagoon/..%2f{LAGOON}%2f{}%2f{file}", &file[..2]),
        format!("/media/lagoon/{}", file.replace(".gif", ".png")),
        format!("/media/lagoon/{}", file.replace(".gif", ".html")),
        "/media/lagoon/..%2f..%2fetc%2fpasswd".to_owned(),
        "/media/lagoon/%00".to_owned(),
    ] {
        assert_eq!(site.get(&path, &[]).await.problem(404), "not_found", "{path}");
    }

    let read = site.get(&product, &[("authorization", &ada)]).await;
    assert_eq!(read.json()["media"][0]["file"], json!(file));
    assert_eq!(
        site.get("/api/v1/storefront/lagoon/products/net-1", &[]).await.json()["media"][0]["file"],
        json!(file)
    );
    let delete = async |etag: &str| {
        let request =
            Request::delete(format!("{media}/{id}")).header("authorization", &ada).header("if-match", etag);
        site.send(request.body(Body::empty()).unwrap()).await
    };
    let store = DiskStore::open(folder.path()).unwrap();
    let pool = shop::pool(&site.database, PoolConfig::default()).await;
    let lost = async || orphans(&store, &pool, &TenantId::new(LAGOON).unwrap()).await.unwrap();
    assert_eq!(lost().await, []);
    assert_eq!(delete("\"product-1.0\"").await.problem(412), "stale_version");
    assert_eq!(delete(read.header("etag")).await.status, StatusCode::NO_CONTENT);
    assert_eq!(site.get(&format!("/media/lagoon/{file}"), &[]).await.problem(404), "not_found");
    assert_eq!(
        lost().await.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [file],
        "its file is known to be nobody's"
    );
}

#[tokio::test]
async fn what_is_no_picture_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let site = open(folder.path()).await;
    let (ada, ben) = (site.bearer(ADA).await, site.bearer(BEN).await);
    let media = "/api/v1/admin/lagoon/products/1/media";
    let polyglots: [Vec<u8>; 5] = [
        [GIF, b"PK\x05\x06"].concat(),
        [GIF, b"<script>alert(1)</script>"].concat(),
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>".to_vec(),
        b"GIF89a/*<html>*/=1;".to_vec(),
        GIF[..GIF.len() - 1].to_vec(),
    ];
    for bytes in &polyglots {
        let answer = upload(&site, &ada, media, "image/gif", bytes).await;
        assert_eq!(answer.problem(422), "image_invalid", "{:?}", String::from_utf8_lossy(bytes));
    }
    for kind in ["image/svg+xml", "text/html", "image/gif; charset=x", ""] {
        assert_eq!(
            upload(&site, &ada, media, kind, GIF).await.problem(415),
            "unsupported_media_type",
            "{kind}"
        );
    }
    let large = vec![0; 8 * 1024 * 1024 + 1];
    assert_eq!(upload(&site, &ada, media, "image/gif", &large).await.problem(413), "too_large");
    assert_eq!(upload(&site, &ben, media, "image/gif", GIF).await.problem(404), "not_found");
    let nothing = "/api/v1/admin/lagoon/products/999999/media";
    assert_eq!(upload(&site, &ada, nothing, "image/gif", GIF).await.problem(404), "not_found");
    assert_eq!(files(folder.path()), Vec::<String>::new());
    assert_eq!(site.database.query_one_text("SELECT count(*) FROM public.product_media").await, "0");
    let elsewhere = Site::open().await;
    let ada = elsewhere.bearer(ADA).await;
    let first = elsewhere
        .database
        .query_one_text(&format!("SELECT min(id) FROM public.products WHERE merchant_id = '{LAGOON}'"))
        .await;
    let media = format!("/api/v1/admin/lagoon/products/{first}/media");
    assert_eq!(upload(&elsewhere, &ada, &media, "image/gif", GIF).await.problem(503), "no_media_store");
}
