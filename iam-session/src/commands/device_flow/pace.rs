//! How often a device flow is polled, and for how long (RFC 8628 §3.5). All but the loop is pure, with time as a parameter.

use std::time::Duration;

use super::signals::{Signals, cancelled};
use crate::clock::boot_time;
use crate::helper::HelperError;
use crate::issuer::wire::{ErrorClass, IssuerError, UserCode};
use crate::outcome::Stop;
use crate::protocol::Failure;

/// What `slow_down` adds, for this and all later polls (RFC 8628 §3.5).
const SLOW_DOWN: Duration = Duration::from_secs(5);
/// An issuer's `interval` is believed within these bounds.
const INTERVAL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// A code is believed to live no longer: IAM never reports a refusal, so only this ends a forgotten terminal.
const LIFETIME: Duration = Duration::from_secs(30 * 60);
/// How an issuer says that nobody has approved a code in its time (RFC 8628 §3.5). Of one that is used up it says another word.
const EXPIRED: &str = "expired_token";
/// The wait doubles while the issuer cannot be reached, up to this.
const BACK_OFF: Duration = Duration::from_secs(60);

/// Polls with `ask` until there is an answer, as often as the issuer wants it. A signal ends that.
pub(in crate::commands) fn poll<T>(
    code: &UserCode,
    signals: &Signals,
    mut ask: impl FnMut() -> Result<Result<T, IssuerError>, Stop>,
) -> Result<T, Stop> {
    let mut pace = Pace::new(code, boot_time());
    loop {
        if signals.wait(pace.next(boot_time())?).is_err() {
            let _ = signals.came();
            return Err(cancelled().into());
        }
        match ask()? {
            Ok(answer) => return Ok(answer),
            Err(error) => pace.answered(error)?,
        }
    }
}

/// The polls of one code.
struct Pace {
    interval: Duration,
    back_off: Duration,
    end: Duration,
    trouble: Option<IssuerError>,
}

impl Pace {
    /// Of a code as the issuer gave it at `now`.
    fn new(code: &UserCode, now: Duration) -> Self {
        let interval = Duration::from_secs(code.interval).clamp(INTERVAL.0, INTERVAL.1);
        let end = now + Duration::from_secs(code.expires_in).min(LIFETIME);
        Self { interval, back_off: Duration::ZERO, end, trouble: None }
    }

    /// How long to wait before the next poll.
    fn next(&self, now: Duration) -> Result<Duration, Failure> {
        let pause = self.interval.max(self.back_off);
        if now + pause <= self.end {
            return Ok(pause);
        }
        match &self.trouble {
            Some(error) => Err(HelperError::Issuer(error.clone()).into()),
            None => Err(ended()),
        }
    }

    /// Takes note of an answer that is no token; gives it back if it is the last.
    fn answered(&mut self, error: IssuerError) -> Result<(), Failure> {
        match error.class {
            ErrorClass::AuthorizationPending => self.reached(),
            ErrorClass::SlowDown => {
                self.reached();
                self.interval += SLOW_DOWN;
                self.back_off = Duration::from_secs(error.retry_after.unwrap_or_default());
            }
            // A proxy's page in place of an answer passes, too: the code is still good.
            ErrorClass::Unreachable | ErrorClass::Busy | ErrorClass::Malformed => {
                let doubled = (self.interval.max(self.back_off) * 2).min(BACK_OFF);
                let asked = Duration::from_secs(error.retry_after.unwrap_or_default());
                self.back_off = doubled.max(asked);
                self.trouble = Some(error);
            }
            ErrorClass::ExpiredToken => return Err(self.ended_by(&error)),
            ErrorClass::AccessDenied => {
                // An issuer that describes it may have refused without asking anybody.
                let is_described = error.message.contains("access_denied: ");
                let by_you = || "you refused on the consent page".to_owned();
                let error = if is_described { error.message } else { by_you() };
                return Err(Failure::refused(error));
            }
            _ => return Err(HelperError::Issuer(error).into()),
        }
        Ok(())
    }

    /// The issuer does not take the code any more. The answer before, which was lost or could not be read, may have been the
    /// token: then the code is used up, and did not end.
    fn ended_by(&mut self, error: &IssuerError) -> Failure {
        match self.trouble.take() {
            Some(unreadable) if unreadable.class == ErrorClass::Malformed => {
                HelperError::Issuer(unreadable).into()
            }
            Some(lost) if !error.message.contains(EXPIRED) => perhaps_used(&lost),
            _ => ended(),
        }
    }

    fn reached(&mut self) {
        self.back_off = Duration::ZERO;
        self.trouble = None;
    }
}

fn perhaps_used(lost: &IssuerError) -> Failure {
    Failure::failed(format!("the code may have been approved, and the answer was lost: {}", lost.message)).advise(
        "run the command again for a new one; if you approved this one, you may end that approval on the issuer's pages",
    )
}

fn ended() -> Failure {
    Failure::failed("the code ended before it was approved").advise("run the command again for a new one")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::FailureKind;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn paced(interval: u64, expires_in: u64, now: Duration) -> Pace {
        let code = UserCode {
            user_code: String::new(),
            verification_uri: String::new(),
            verification_uri_complete: None,
            expires_in,
            interval,
        };
        Pace::new(&code, now)
    }

    fn error(class: ErrorClass) -> IssuerError {
        IssuerError { class, message: "m".into(), status: None, retry_after: None }
    }

    #[test]
    fn pending_goes_on_at_the_interval() {
        let mut pace = paced(5, 600, s(100));
        assert_eq!(pace.next(s(100)), Ok(s(5)));
        assert_eq!(pace.answered(error(ErrorClass::AuthorizationPending)), Ok(()));
        assert_eq!(pace.next(s(105)), Ok(s(5)));
    }

    #[test]
    fn slow_down_lasts() {
        let mut pace = paced(5, 600, s(0));
        assert_eq!(pace.answered(error(ErrorClass::SlowDown)), Ok(()));
        assert_eq!(pace.answered(error(ErrorClass::AuthorizationPending)), Ok(()));
        assert_eq!(pace.next(s(0)), Ok(s(10)));
    }

    #[test]
    fn an_issuer_out_of_reach_is_asked_less_often_until_it_is_back() {
        let mut pace = paced(5, 600, s(0));
        for expected in [10, 20, 40, 60, 60] {
            assert_eq!(pace.answered(error(ErrorClass::Unreachable)), Ok(()));
            assert_eq!(pace.next(s(0)), Ok(s(expected)));
        }
        let asked = IssuerError { retry_after: Some(90), ..error(ErrorClass::Busy) };
        assert_eq!(pace.answered(asked), Ok(()));
        assert_eq!(pace.next(s(0)), Ok(s(90)));
        assert_eq!(pace.next(s(511)).map_err(|failure| failure.kind), Err(FailureKind::Unreachable));
        assert_eq!(pace.answered(error(ErrorClass::AuthorizationPending)), Ok(()));
        assert_eq!(pace.next(s(0)), Ok(s(5)));
    }

    #[test]
    fn a_stray_page_does_not_end_a_code_that_is_good() {
        let mut pace = paced(5, 600, s(0));
        assert_eq!(pace.answered(error(ErrorClass::Malformed)), Ok(()));
        assert_eq!(pace.next(s(0)), Ok(s(10)));
        let used_up = pace.answered(error(ErrorClass::ExpiredToken));
        assert_eq!(used_up.map_err(|failure| failure.error), Err("m".into()));
        let mut pace = paced(5, 600, s(0));
        assert_eq!(pace.answered(error(ErrorClass::Malformed)), Ok(()));
        assert_eq!(pace.answered(error(ErrorClass::AuthorizationPending)), Ok(()));
        assert_eq!(pace.answered(error(ErrorClass::ExpiredToken)), Err(ended()));
    }

    #[test]
    fn a_code_that_is_used_up_after_a_lost_answer_may_have_been_approved() {
        let end = |class, message: &str| {
            let mut pace = paced(5, 600, s(0));
            assert_eq!(pace.answered(error(class)), Ok(()));
            let last = IssuerError { message: message.into(), ..error(ErrorClass::ExpiredToken) };
            pace.answered(last).unwrap_err()
        };
        for class in [ErrorClass::Unreachable, ErrorClass::Busy] {
            let failure = end(class, "i no longer accepts the device code: invalid_grant");
            assert!(failure.error.contains("may have been approved"), "{failure:?}");
            assert!(failure.info.unwrap().contains("on the issuer's pages"));
            assert_eq!(end(class, "i no longer accepts the device code: expired_token"), ended());
        }
        assert_eq!(end(ErrorClass::AuthorizationPending, "invalid_grant"), ended());
    }

    #[test]
    fn a_pause_that_is_asked_for_is_kept_once() {
        let mut pace = paced(5, 600, s(0));
        let slow = IssuerError { retry_after: Some(30), ..error(ErrorClass::SlowDown) };
        assert_eq!(pace.answered(slow), Ok(()));
        assert_eq!(pace.next(s(0)), Ok(s(30)));
        assert_eq!(pace.answered(error(ErrorClass::AuthorizationPending)), Ok(()));
        assert_eq!(pace.next(s(0)), Ok(s(10)));
    }

    #[test]
    fn a_refusal_that_is_never_reported_ends_by_our_own_clock() {
        assert_eq!(paced(5, 600, s(0)).next(s(596)), Err(ended()));
        let forever = paced(0, u64::MAX, s(0));
        assert_eq!(forever.next(s(0)), Ok(s(1)));
        assert_eq!(forever.next(LIFETIME), Err(ended()));
    }

    #[test]
    fn who_refused_is_said_as_far_as_it_is_known() {
        let refused = |message: &str| {
            let denied = IssuerError { message: message.into(), ..error(ErrorClass::AccessDenied) };
            paced(5, 600, s(0)).answered(denied).unwrap_err().error
        };
        assert_eq!(refused("at i the request was denied: access_denied"), "you refused on the consent page");
        let described = "at i the request was denied: access_denied: two capability sets";
        assert_eq!(refused(described), described);
    }

    #[test]
    fn what_is_final_is_final() {
        for (class, kind) in [
            (ErrorClass::AccessDenied, FailureKind::Refused),
            (ErrorClass::ExpiredToken, FailureKind::Failed),
            (ErrorClass::UserSuspended, FailureKind::Refused),
            (ErrorClass::Refused, FailureKind::Refused),
        ] {
            let answered = paced(5, 600, s(0)).answered(error(class));
            assert_eq!(answered.map_err(|failure| failure.kind), Err(kind), "{class:?}");
        }
    }
}
