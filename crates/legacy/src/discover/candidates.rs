//! Other tables as the tenant root, for whoever named none, or one that cannot be one or is no boundary.

use std::time::Instant;

use bastide_catalog::Catalog;
use bastide_plan::{RootChoice, Survey, crossing_links};
use bastide_record::Roots;
use tokio_postgres::Client;

use super::{Asked, any_root};
use crate::{RootLimits, roots, survey::Progress};

/// As many as planning measures for a root that it refuses.
const CANDIDATES: usize = 6;

/// Each in a transaction of its own that is rolled back, since it takes temporary tables; none of them calls anything the
/// operator declared.
pub(super) async fn measure(
    client: &mut Client,
    catalog: &Catalog,
    asked: &Asked,
    deadline: Instant,
    progress: Progress<'_>,
) -> Roots {
    let limits = RootLimits { candidates: CANDIDATES, deadline };
    let config = asked.config(&asked.root.clone().unwrap_or_else(any_root));
    roots(client, catalog, &config, &limits, progress).await
}

/// Where no plan could be made to say so: more than 1 % of a table's rows cross by one link.
pub(super) fn crosses(catalog: &Catalog, asked: &Asked, survey: &Survey) -> bool {
    let accepted = |root: &RootChoice| match root {
        RootChoice::Existing(table) => asked.answers.contains_key(&format!("boundary:{table}")),
        RootChoice::New(_) => true,
    };
    !asked.root.as_ref().is_none_or(accepted)
        && crossing_links(catalog, survey).iter().any(|found| found.link.crossing * 100 > found.table_rows)
}
