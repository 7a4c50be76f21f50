//! Payments, by whoever moves the money.
//!
//! A provider is outside of the database, so it cannot be in the transaction of an order. The order of things is therefore:
//!
//! 1. **authorise**, under a reference of ours that is the same for each retry of one checkout. Nothing is charged yet. A crash here leaves an
//!    authorisation without an order; the retry finds it again by its reference, and without a retry it lapses.
//! 2. **order, stock and what is still to be done with the money** in one transaction. A crash before its commit is the one above; after it, the
//!    order is there, and so is the note that its payment is to be captured.
//! 3. **capture**, under the same reference, and then the note is struck out. A crash in between captures again, which a provider answers
//!    as before: it never charges a reference twice.
//!
//! So there is never a charge without an order, nor an order whose charge is forgotten. Refunds go the same way: noted in the transaction that
//! decides them, sent after it under a reference of their own, as often as it takes.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use crate::Money;

/// What a provider knows an act by: whatever comes twice under one is done once.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference(String);

impl Reference {
    /// Of a checkout: `act` is the same for each retry of it.
    #[must_use]
    pub fn of_checkout(act: uuid::Uuid) -> Self {
        Self(format!("checkout:{act}"))
    }

    #[must_use]
    pub fn of_refund(refund: uuid::Uuid) -> Self {
        Self(format!("refund:{refund}"))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a provider says to an authorisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authorised {
    /// The money is set aside, to be captured.
    Now,
    /// Nobody moves anything by machine: the team will say when it came.
    Due,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PaymentError {
    /// For good: the same reference is declined again.
    #[error("the payment was declined")]
    Declined,
    /// Whether it was done is not known: ask again under the same reference.
    #[error("the payment provider gave no answer; try again")]
    Unknown,
    /// A fault of ours: nothing of that kind was authorised or captured, or it was for another amount.
    #[error("the payment provider knows nothing that fits")]
    Mismatch,
}

/// Every act is safe to repeat under its reference.
pub trait Provider {
    /// Sets the money aside. `method` is what the shopper gave: a token of the provider's, never a card number.
    fn authorise(
        &self,
        reference: &Reference,
        amount: &Money,
        method: &str,
    ) -> impl Future<Output = Result<Authorised, PaymentError>> + Send;

    /// Takes all that was set aside.
    fn capture(&self, reference: &Reference) -> impl Future<Output = Result<(), PaymentError>> + Send;

    /// Lets go of what was set aside, if it was.
    fn void(&self, reference: &Reference) -> impl Future<Output = Result<(), PaymentError>> + Send;

    /// Gives back some of what was captured under `of`.
    fn refund(
        &self,
        reference: &Reference,
        of: &Reference,
        amount: &Money,
    ) -> impl Future<Output = Result<(), PaymentError>> + Send;
}

/// Cash on delivery, bank transfer: people move the money, and say so.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manual;

impl Provider for Manual {
    async fn authorise(&self, _: &Reference, _: &Money, _: &str) -> Result<Authorised, PaymentError> {
        Ok(Authorised::Due)
    }

    async fn capture(&self, _: &Reference) -> Result<(), PaymentError> {
        Ok(())
    }

    async fn void(&self, _: &Reference) -> Result<(), PaymentError> {
        Ok(())
    }

    async fn refund(&self, _: &Reference, _: &Reference, _: &Money) -> Result<(), PaymentError> {
        Ok(())
    }
}

/// For trying a shop out: no money moves. What it says depends on the token, and it keeps its books as a provider would, in this process.
#[derive(Debug, Default)]
pub struct Test(Mutex<Books>);

/// Tokens of the test provider. Any other is declined, too.
pub mod tokens {
    pub const ACCEPTED: &str = "tok_ok";
    pub const DECLINED: &str = "tok_declined";
    /// Authorises, and its answer is lost on the way, once.
    pub const LOST_ONCE: &str = "tok_lost_once";
    /// Does nothing and does not answer, ever.
    pub const SILENT: &str = "tok_silent";
    /// Authorises, and the capture's answer is lost on the way, once.
    pub const CAPTURE_LOST_ONCE: &str = "tok_capture_lost_once";
}

#[derive(Debug, Default)]
struct Books {
    charges: HashMap<Reference, Charge>,
    refunds: HashMap<Reference, (Reference, Money)>,
}

#[derive(Debug)]
struct Charge {
    amount: Money,
    stage: Stage,
    capture_gets_lost: bool,
    refunded: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Declined,
    Authorised,
    Captured,
    Voided,
}

impl Test {
    /// What was charged less what was given back, over all references: what a shop's bank would say.
    #[must_use]
    pub fn taken(&self) -> i64 {
        self.with(|books| {
            let captured = books.charges.values().filter(|charge| charge.stage == Stage::Captured);
            captured.map(|charge| charge.amount.amount - charge.refunded).sum()
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Books) -> T) -> T {
        // Each act changes the books at its very end: a panic leaves them whole.
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Provider for Test {
    async fn authorise(
        &self,
        reference: &Reference,
        amount: &Money,
        method: &str,
    ) -> Result<Authorised, PaymentError> {
        self.with(|books| {
            if let Some(charge) = books.charges.get(reference) {
                return match charge.stage {
                    Stage::Declined => Err(PaymentError::Declined),
                    Stage::Voided => Err(PaymentError::Mismatch),
                    Stage::Authorised | Stage::Captured if charge.amount == *amount => Ok(Authorised::Now),
                    Stage::Authorised | Stage::Captured => Err(PaymentError::Mismatch),
                };
            }
            if method == tokens::SILENT {
                return Err(PaymentError::Unknown);
            }
            let accepted = [tokens::ACCEPTED, tokens::LOST_ONCE, tokens::CAPTURE_LOST_ONCE].contains(&method);
            let stage = if accepted { Stage::Authorised } else { Stage::Declined };
            let capture_gets_lost = method == tokens::CAPTURE_LOST_ONCE;
            let charge = Charge { amount: amount.clone(), stage, capture_gets_lost, refunded: 0 };
            books.charges.insert(reference.clone(), charge);
            match method {
                _ if !accepted => Err(PaymentError::Declined),
                tokens::LOST_ONCE => Err(PaymentError::Unknown),
                _ => Ok(Authorised::Now),
            }
        })
    }

    async fn capture(&self, reference: &Reference) -> Result<(), PaymentError> {
        self.with(|books| {
            let charge = books.charges.get_mut(reference).ok_or(PaymentError::Mismatch)?;
            if !matches!(charge.stage, Stage::Authorised | Stage::Captured) {
                return Err(PaymentError::Mismatch);
            }
            charge.stage = Stage::Captured;
            if std::mem::take(&mut charge.capture_gets_lost) { Err(PaymentError::Unknown) } else { Ok(()) }
        })
    }

    async fn void(&self, reference: &Reference) -> Result<(), PaymentError> {
        self.with(|books| match books.charges.get_mut(reference) {
            Some(charge) if charge.stage == Stage::Captured => Err(PaymentError::Mismatch),
            Some(charge) if charge.stage == Stage::Authorised => {
                charge.stage = Stage::Voided;
                Ok(())
            }
            _ => Ok(()),
        })
    }

    async fn refund(
        &self,
        reference: &Reference,
        of: &Reference,
        amount: &Money,
    ) -> Result<(), PaymentError> {
        self.with(|books| {
            if let Some((charged, given)) = books.refunds.get(reference) {
                let same = charged == of && given == amount;
                return if same { Ok(()) } else { Err(PaymentError::Mismatch) };
            }
            let charge = books.charges.get_mut(of).ok_or(PaymentError::Mismatch)?;
            let left = charge.amount.amount - charge.refunded;
            let fits = charge.stage == Stage::Captured
                && charge.amount.currency == amount.currency
                && (1..=left).contains(&amount.amount);
            if !fits {
                return Err(PaymentError::Mismatch);
            }
            charge.refunded += amount.amount;
            books.refunds.insert(reference.clone(), (of.clone(), amount.clone()));
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn money(amount: i64) -> Money {
        Money { amount, currency: "EUR".to_owned() }
    }

    fn checkout(n: u128) -> Reference {
        Reference::of_checkout(Uuid::from_u128(n))
    }

    #[tokio::test]
    async fn a_reference_is_charged_once_however_often_it_is_sent() {
        let test = Test::default();
        for token in [tokens::LOST_ONCE, tokens::CAPTURE_LOST_ONCE] {
            let (before, one) = (test.taken(), Reference(token.to_owned()));
            let lost = test.authorise(&one, &money(50), token).await;
            assert_eq!(lost.is_err(), token == tokens::LOST_ONCE);
            for _ in 0..3 {
                assert_eq!(test.authorise(&one, &money(50), token).await, Ok(Authorised::Now));
            }
            assert_eq!(test.taken(), before, "nothing is charged by being set aside");
            let captured = test.capture(&one).await;
            assert_eq!(captured.is_err(), token == tokens::CAPTURE_LOST_ONCE);
            for _ in 0..3 {
                assert_eq!(test.capture(&one).await, Ok(()));
            }
            assert_eq!(test.taken(), before + 50);
        }
    }

    #[tokio::test]
    async fn what_is_declined_stays_so_and_what_is_silent_is_not_known() {
        let test = Test::default();
        for token in [tokens::DECLINED, "4242424242424242"] {
            let one = Reference(token.to_owned());
            assert_eq!(test.authorise(&one, &money(5), token).await, Err(PaymentError::Declined));
            let again = test.authorise(&one, &money(5), tokens::ACCEPTED).await;
            assert_eq!(again, Err(PaymentError::Declined), "under the same reference");
            assert_eq!(test.capture(&one).await, Err(PaymentError::Mismatch));
        }
        let one = checkout(1);
        assert_eq!(test.authorise(&one, &money(5), tokens::SILENT).await, Err(PaymentError::Unknown));
        assert_eq!(test.authorise(&one, &money(5), tokens::ACCEPTED).await, Ok(Authorised::Now));
        assert_eq!(test.authorise(&one, &money(6), tokens::ACCEPTED).await, Err(PaymentError::Mismatch));
        assert_eq!(test.void(&one).await, Ok(()));
        assert_eq!(test.capture(&one).await, Err(PaymentError::Mismatch));
        assert_eq!(test.taken(), 0);
    }

    #[derive(Clone, Debug)]
    enum Do {
        Authorise(u128, i64, &'static str),
        Capture(u128),
        Void(u128),
        Refund(u128, u128, i64),
    }

    fn acts() -> impl Strategy<Value = Vec<Do>> {
        use tokens::{ACCEPTED, CAPTURE_LOST_ONCE, DECLINED, LOST_ONCE, SILENT};
        let token = prop::sample::select(vec![ACCEPTED, CAPTURE_LOST_ONCE, DECLINED, LOST_ONCE, SILENT]);
        let act = prop_oneof![
            (0_u128..3, 1_i64..3, token).prop_map(|(n, amount, token)| Do::Authorise(n, amount * 10, token)),
            (0_u128..3).prop_map(Do::Capture),
            (0_u128..3).prop_map(Do::Void),
            (0_u128..4, 0_u128..3, -1_i64..25).prop_map(|(n, of, amount)| Do::Refund(n, of, amount)),
        ];
        prop::collection::vec(act, 0..30)
    }

    proptest! {
        /// Each act sent again at once changes nothing, and nobody gets back more than was taken.
        #[test]
        fn every_act_is_safe_to_repeat(acts in acts()) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let test = Test::default();
            for act in acts {
                let once = async || match &act {
                    Do::Authorise(n, amount, token) => test.authorise(&checkout(*n), &money(*amount), token).await.map(drop),
                    Do::Capture(n) => test.capture(&checkout(*n)).await,
                    Do::Void(n) => test.void(&checkout(*n)).await,
                    Do::Refund(n, of, amount) => {
                        test.refund(&Reference::of_refund(Uuid::from_u128(*n)), &checkout(*of), &money(*amount)).await
                    }
                };
                let first = runtime.block_on(once());
                let taken = test.taken();
                let second = runtime.block_on(once());
                prop_assert_eq!(test.taken(), taken);
                if first != Err(PaymentError::Unknown) {
                    prop_assert_eq!(first, second);
                }
                prop_assert!(taken >= 0);
            }
        }
    }
}
