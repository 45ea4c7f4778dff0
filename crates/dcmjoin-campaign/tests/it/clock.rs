//! A machine whose clock is off, before a service that minds: requests are signed by the service's.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use dcmjoin_campaign::aws::{Aws, local_time};
use dcmjoin_campaign::ledger::Place;
use dcmjoin_restore::answer::Answer;
use dcmjoin_restore::moment::{DAY, Moment};

use crate::scene::key;

/// S3 refuses what was signed further from its own time (`RequestTimeTooSkewed`).
const SKEW_SECS_MAX: u64 = 900;

/// Returns a moment as a `Date` header has it (RFC 9110, IMF-fixdate).
fn http(moment: Moment) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let iso = moment.to_string();
    let weekday = DAYS[usize::try_from(moment.epoch_secs() / DAY % 7).unwrap()];
    let month = MONTHS[iso[5..7].parse::<usize>().unwrap() - 1];
    format!("{weekday}, {} {month} {} {} GMT", &iso[8..10], &iso[..4], &iso[11..19])
}

/// Answers one request on a connection, by a clock that is a day ahead of this machine's.
fn answer(stream: &mut TcpStream, refusals: &AtomicU32) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    let (mut signed, mut length) = (None, 0);
    loop {
        let line = lines.next()?.ok()?.to_ascii_lowercase();
        match line.split_once(": ") {
            Some(("x-amz-date", date)) => signed = Some(date.to_uppercase()),
            Some(("content-length", text)) => length = text.parse().ok()?,
            None if line.is_empty() => break,
            _ => {}
        }
    }
    assert!(length < 1_000, "the body comes with the headers");
    let now = local_time().plus(DAY);
    let text = signed?;
    let (day, time) = (&text[..8], &text[9..15]);
    let iso = format!(
        "{}-{}-{}T{}:{}:{}Z",
        &day[..4],
        &day[4..6],
        &day[6..],
        &time[..2],
        &time[2..4],
        &time[4..]
    );
    let signed = Moment::parse_iso(&iso).ok()?;
    let apart = signed.secs_until(now).max(now.secs_until(signed));
    let (status, body) = if apart > SKEW_SECS_MAX {
        refusals.fetch_add(1, Ordering::Relaxed);
        ("403 Forbidden", "<Error><Code>RequestTimeTooSkewed</Code></Error>")
    } else {
        ("202 Accepted", "")
    };
    let date = http(now);
    let head = format!("HTTP/1.1 {status}\r\ndate: {date}\r\nconnection: close\r\n");
    write!(stream, "{head}content-length: {}\r\n\r\n{body}", body.len()).ok()
}

#[tokio::test]
async fn requests_are_signed_by_the_services_clock_once_it_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let refusals = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&refusals);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            answer(&mut stream.unwrap(), &counted);
        }
    });
    let aws = Aws::new(Some(&endpoint), "us-east-1", Arc::new(|| Some(key()))).unwrap();
    let place = Place { bucket: "archive".into(), key: "a.tar".into(), version: None };
    for _ in 0..3 {
        assert_eq!(aws.restore(&place, "Bulk", Some(2)).await, Answer::Accepted);
    }
    assert_eq!(refusals.load(Ordering::Relaxed), 1, "the first request alone was signed wrongly");
    let ahead = local_time().secs_until(aws.now());
    assert!(ahead.abs_diff(DAY) < 60, "{ahead} s");
}
