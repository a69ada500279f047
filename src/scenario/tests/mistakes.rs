//! What is said about bad files; the texts themselves are in `tests/golden/broken`.

use proptest::prelude::*;

use super::*;

#[test]
fn all_mistakes_are_told_together_in_the_order_of_the_file() {
    let text = small("[traffic.x]\nfrom = \"nobody\"\nto = { group = \"nowhere\" }\nrate = \"1\"");
    let text = text.replace("count = 90", "count = \"many\"").replace("20s", "20");
    let told = try_plan(&text, &set("grace", "soon")).expect_err("seven mistakes");
    assert_eq!(told.count, 7, "{told}");
    let at = |what: &str| told.rendered.find(what).unwrap_or_else(|| panic!("{what}: {told}"));
    let order = [
        "`duration`",
        "`populations.healthy.count`",
        "lacks the key `size`",
        "`nobody`",
        "`nowhere`",
    ];
    assert!(order.windows(2).all(|pair| at(pair[0]) < at(pair[1])), "{told}");
    assert!(told.rendered.contains("--set grace=soon"));
}

#[test]
fn errors_of_a_value_from_the_environment_do_not_show_it() {
    let text = small("").replace("\"50/s\"", "\"${env:ROOM}/s\"");
    let told = errors(&text, &Overrides::default());
    assert!(!told.contains("lobby"), "{told}");
    assert!(told.contains("${env:ROOM}"), "{told}");
}

proptest! {
    #[test]
    fn no_text_makes_loading_panic(text in "[a-z\\[\\]{}=\".,#0-9 \n%$:/]{0,200}") {
        let _ = try_plan(&text, &Overrides::default());
    }

    #[test]
    fn no_change_of_a_shipped_file_makes_loading_panic(
        index in 0..builtins().len(),
        at in 0_usize..2_000,
        length in 0_usize..40,
        put in "[a-z\\[\\]{}=\" 0-9\n]{0,6}",
    ) {
        let builtin = &builtins()[index];
        let mut text: Vec<char> = builtin.text.chars().collect();
        let at = at.min(text.len());
        let end = (at + length).min(text.len());
        text.splice(at..end, put.chars());
        let text: String = text.into_iter().collect();
        if let Err(errors) = try_plan(&text, &Overrides::default()) {
            prop_assert!(errors.count > 0 && errors.rendered.contains("error: "));
        }
    }

    #[test]
    fn no_setting_makes_loading_panic(
        path in "[a-z.\"0-9_-]{0,30}", value in "[a-z\\[\\]{}=\"0-9%/,. ]{0,20}",
    ) {
        let _ = try_plan(builtins()[0].text, &set(&path, &value));
    }
}
