//! What the bodies of the catalogue demand beyond their shape.

use std::collections::BTreeSet;

use bastide_commerce::{
    Money, Slug,
    drafts::{
        Adjustment, CategoryChange, CategoryDraft, Count, PictureChange, ProductChange, ProductDraft,
        VariantChange, VariantDraft,
    },
    misfits,
    rows::ProductOption,
};

use crate::{
    body::{Faults, Validate},
    code::FieldCode,
};

/// Far beyond what anything costs, and so that no sum of an order overflows.
const HIGHEST_PRICE: i64 = 100_000_000_000;
const MOST_STOCK: i64 = 1_000_000_000;
const MOST_VARIANTS: usize = bastide_commerce::queries::variants::MOST;
const MOST_OPTIONS: usize = 5;
const LONGEST_DESCRIPTION: usize = 20_000;

impl Validate for ProductDraft {
    fn validate(&self, faults: &mut Faults) {
        name(faults, &self.name, 200);
        slug(faults, self.slug.as_deref());
        faults.text("/description", &self.description, 0..=LONGEST_DESCRIPTION);
        options(faults, &self.options);
        many(faults, "/variants", self.variants.len(), 1, MOST_VARIANTS);
        let mut skus = BTreeSet::new();
        for (at, variant) in self.variants.iter().enumerate() {
            variant_under(faults, &format!("/variants/{at}"), variant);
            let unique = skus.insert(&variant.sku);
            faults.check(&format!("/variants/{at}/sku"), unique, FieldCode::Duplicate, "is there twice");
        }
        for at in misfits(&self.options, self.variants.iter().map(|variant| &variant.options)) {
            misfit(faults, &format!("/variants/{at}/options"));
        }
    }
}

impl Validate for ProductChange {
    fn validate(&self, faults: &mut Faults) {
        if let Some(text) = &self.name {
            name(faults, text, 200);
        }
        slug(faults, self.slug.as_deref());
        if let Some(text) = &self.description {
            faults.text("/description", text, 0..=LONGEST_DESCRIPTION);
        }
        options(faults, self.options.as_deref().unwrap_or_default());
    }
}

impl Validate for VariantDraft {
    fn validate(&self, faults: &mut Faults) {
        variant_under(faults, "", self);
    }
}

impl Validate for VariantChange {
    fn validate(&self, faults: &mut Faults) {
        if let Some(text) = &self.sku {
            sku(faults, "/sku", text);
        }
        if let Some(text) = &self.title {
            faults.text("/title", text, 0..=200);
        }
        if let Some(money) = &self.price {
            price(faults, "/price", money);
        }
        position(faults, self.position);
    }
}

impl Validate for CategoryDraft {
    fn validate(&self, faults: &mut Faults) {
        name(faults, &self.name, 120);
        position(faults, Some(self.position));
    }
}

impl Validate for CategoryChange {
    fn validate(&self, faults: &mut Faults) {
        if let Some(text) = &self.name {
            name(faults, text, 120);
        }
        position(faults, self.position);
    }
}

impl Validate for PictureChange {
    fn validate(&self, faults: &mut Faults) {
        if let Some(text) = &self.alt {
            faults.text("/alt", text, 0..=500);
        }
        position(faults, self.position);
    }
}

impl Validate for Adjustment {
    fn validate(&self, faults: &mut Faults) {
        let range = -MOST_STOCK..=MOST_STOCK;
        let moves = self.delta != 0 && range.contains(&self.delta);
        faults.check(
            "/delta",
            moves,
            FieldCode::OutOfRange,
            "must be from -1000000000 to 1000000000, and not 0",
        );
        faults.text("/note", &self.note, 0..=500);
    }
}

impl Validate for Count {
    fn validate(&self, faults: &mut Faults) {
        stock(faults, "/on_hand", self.on_hand);
        faults.text("/note", &self.note, 0..=500);
    }
}

pub(super) fn misfit(faults: &mut Faults, pointer: &str) {
    let message = "must have one value of each option of the product, and not the same as another variant";
    faults.add(pointer, FieldCode::UnknownValue, message);
}

fn variant_under(faults: &mut Faults, pointer: &str, variant: &VariantDraft) {
    sku(faults, &format!("{pointer}/sku"), &variant.sku);
    faults.text(&format!("{pointer}/title"), &variant.title, 0..=200);
    price(faults, &format!("{pointer}/price"), &variant.price);
    stock(faults, &format!("{pointer}/on_hand"), variant.on_hand);
}

/// One line, and something to see.
fn name(faults: &mut Faults, text: &str, longest: usize) {
    faults.text("/name", text, 1..=longest);
    let blank = text.trim().is_empty() && !text.is_empty();
    let line = !text.contains(['\n', '\r', '\t', '\u{2028}', '\u{2029}']);
    faults.check("/name", line && !blank, FieldCode::Malformed, "must be one line that is not blank");
}

fn slug(faults: &mut Faults, text: Option<&str>) {
    let fits = text.is_none_or(|text| Slug::parse(text).is_some());
    faults.check(
        "/slug",
        fits,
        FieldCode::Malformed,
        "must be words of a-z and 0-9 with single hyphens between, 100 characters at most",
    );
}

fn sku(faults: &mut Faults, pointer: &str, text: &str) {
    let fits = (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    faults.check(pointer, fits, FieldCode::Malformed, "must be 1 to 64 visible ASCII characters");
}

fn price(faults: &mut Faults, pointer: &str, price: &Money) {
    let fits = (0..=HIGHEST_PRICE).contains(&price.amount);
    faults.check(&format!("{pointer}/amount"), fits, FieldCode::OutOfRange, "must be from 0 to 100000000000");
}

fn stock(faults: &mut Faults, pointer: &str, on_hand: i64) {
    let fits = (0..=MOST_STOCK).contains(&on_hand);
    faults.check(pointer, fits, FieldCode::OutOfRange, "must be from 0 to 1000000000");
}

fn position(faults: &mut Faults, position: Option<i32>) {
    let fits = position.is_none_or(|position| (0..=10_000).contains(&position));
    faults.check("/position", fits, FieldCode::OutOfRange, "must be from 0 to 10000");
}

fn many(faults: &mut Faults, pointer: &str, count: usize, least: usize, most: usize) {
    faults.check(pointer, count >= least, FieldCode::TooShort, format!("must have at least {least}"));
    faults.check(pointer, count <= most, FieldCode::TooLong, format!("must have at most {most}"));
}

fn options(faults: &mut Faults, options: &[ProductOption]) {
    many(faults, "/options", options.len(), 0, MOST_OPTIONS);
    let mut names = BTreeSet::new();
    for (at, option) in options.iter().enumerate() {
        let pointer = format!("/options/{at}");
        faults.text(&format!("{pointer}/name"), &option.name, 1..=60);
        faults.check(
            &format!("{pointer}/name"),
            names.insert(&option.name),
            FieldCode::Duplicate,
            "is there twice",
        );
        many(faults, &format!("{pointer}/values"), option.values.len(), 1, 100);
        let mut values = BTreeSet::new();
        for (nth, value) in option.values.iter().enumerate() {
            let pointer = format!("{pointer}/values/{nth}");
            faults.text(&pointer, value, 1..=100);
            faults.check(&pointer, values.insert(value), FieldCode::Duplicate, "is there twice");
        }
    }
}
