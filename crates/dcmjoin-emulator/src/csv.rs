//! The CSV of manifests, inventories and reports (RFC 4180).

/// Returns the rows of a text; a row without anything is passed over.
pub(crate) fn rows(text: &str) -> impl Iterator<Item = Vec<String>> + '_ {
    let mut rest = text;
    std::iter::from_fn(move || {
        while let Some(after) = rest.strip_prefix('\n').or_else(|| rest.strip_prefix("\r\n")) {
            rest = after;
        }
        if rest.is_empty() { None } else { Some(row(&mut rest)) }
    })
}

/// Takes a row off, with its end.
fn row(rest: &mut &str) -> Vec<String> {
    let mut fields = Vec::new();
    loop {
        fields.push(field(rest));
        match rest.strip_prefix(',') {
            Some(after) => *rest = after,
            None => break,
        }
    }
    // Whatever stands behind a quoted field up to the row's end is no field.
    let end = rest.find('\n').map_or(rest.len(), |at| at + 1);
    *rest = &rest[end..];
    fields
}

fn field(rest: &mut &str) -> String {
    let Some(mut quoted) = rest.strip_prefix('"') else {
        let end = rest.find([',', '\n']).unwrap_or(rest.len());
        let (field, after) = rest.split_at(end);
        *rest = after;
        return field.strip_suffix('\r').unwrap_or(field).to_owned();
    };
    let mut field = String::new();
    loop {
        let end = quoted.find('"').unwrap_or(quoted.len());
        field.push_str(&quoted[..end]);
        quoted = quoted.get(end + 1..).unwrap_or_default();
        match quoted.strip_prefix('"') {
            Some(after) => {
                field.push('"');
                quoted = after;
            }
            None => break,
        }
    }
    *rest = quoted;
    field
}

/// Adds a row to a text, every field in quotes, as S3 Inventory has it.
pub(crate) fn add_quoted(text: &mut String, fields: &[&str]) {
    for (at, field) in fields.iter().enumerate() {
        text.push_str(if at == 0 { "\"" } else { ",\"" });
        text.push_str(&field.replace('"', "\"\""));
        text.push('"');
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_rows() {
        let text = "a,b\r\n\"c,\"\"d\"\"\",\n\n\"e\nf\",g";
        let read: Vec<Vec<String>> = rows(text).collect();
        assert_eq!(read, [vec!["a", "b"], vec!["c,\"d\"", ""], vec!["e\nf", "g"]]);
    }

    #[test]
    fn damage_does_not_stop_it() {
        let read: Vec<Vec<String>> = rows("\"a\"x,b\n\"open").collect();
        assert_eq!(read, [vec!["a"], vec!["open"]]);
    }

    #[test]
    fn what_is_written_is_read() {
        let mut text = String::new();
        add_quoted(&mut text, &["a\"b", "c,d", ""]);
        assert_eq!(rows(&text).next().unwrap(), ["a\"b", "c,d", ""]);
    }
}
