//! Answers that are whole documents. The SDK takes the part of an XML document that it can read for all of
//! it, so a list that was cut on its way looks like a shorter one, and lost errors like none.

use aws_sdk_s3::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;

/// Refuses a success whose document does not end with the end of this element.
#[derive(Debug)]
pub(crate) struct Whole(pub(crate) &'static str);

impl Intercept for Whole {
    fn name(&self) -> &'static str {
        "Whole"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let answer = context.response();
        if !answer.status().is_success() || answer.body().bytes().is_some_and(|body| is_whole(body, self.0)) {
            return Ok(());
        }
        Err("the document of the answer is not whole".into())
    }
}

/// Whether the last tag is the end of the element `root`, or all there is of it.
fn is_whole(body: &[u8], root: &str) -> bool {
    let body = body.trim_ascii_end();
    let Some(start) = body.iter().rposition(|byte| *byte == b'<') else { return false };
    let Some(tag) = body[start..].strip_prefix(b"<").and_then(|tag| tag.strip_suffix(b">")) else {
        return false;
    };
    let name = match (tag.strip_prefix(b"/"), tag.strip_suffix(b"/")) {
        (Some(end), None) => end.trim_ascii_end(),
        (None, Some(empty)) => empty.split(u8::is_ascii_whitespace).next().unwrap_or_default(),
        _ => return false,
    };
    let name = name.rsplit(|byte| *byte == b':').next().unwrap_or_default();
    name == root.as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_ends_with_its_root() {
        for whole in [
            "<?xml version=\"1.0\"?>\n<R xmlns=\"http://x/\"><A>1</A></R>\n",
            "<R><A/></R >",
            "<s3:R xmlns:s3=\"http://x/\"></s3:R>",
            "<R/>",
            "<R xmlns=\"http://x/\" />",
        ] {
            assert!(is_whole(whole.as_bytes(), "R"), "{whole}");
        }
        for cut in
            ["", "<R", "<R>", "<R><A>1</A>", "<R><A/>", "<R><A>1</A></R", "<A>R</A>", "R>", "</>", "<R></OR>"]
        {
            assert!(!is_whole(cut.as_bytes(), "R"), "{cut}");
        }
    }
}
