"""Run by `python3 -m unittest discover -p '*_test.py'` (no dependency) or pytest."""

import unittest

import model


def one(text):
    entries = model.parse("x.api", text)
    assert len(entries) == 1, entries
    return entries[0]


class ParseTest(unittest.TestCase):
    def test_block_gives_its_decision_to_every_listed_symbol(self):
        entries = model.parse("x.api", "refuse: because\n  cuA  2.0\n  cuB_v2  12.8 ptsz 12.8\n\nclient: other\n  cuC  exported\n")
        self.assertEqual([(e.symbol, e.decision, e.version) for e in entries],
                         [("cuA", "refuse", 2000), ("cuB_v2", "refuse", 12080), ("cuC", "client", 0)])
        self.assertEqual(entries[1].base, "cuB")
        self.assertEqual(entries[1].symbols, ["cuB_v2", "cuB_v2_ptsz"])
        self.assertEqual(entries[1].variant_version, 12080)

    def test_forward_entry_calls_its_own_name_with_its_own_arguments(self):
        entry = one("forward sync cached cuF(out i32 value, function f)  2.2")
        self.assertTrue(entry.synchronous and entry.cached and not entry.forget)
        self.assertEqual((entry.call, entry.call_arguments), ("cuF", ["value", "f"]))

    def test_calls_line_renames_and_reorders(self):
        entry = one("forward async gate(copy) cuF(ptr a, size n)  3.2 ptds 7.0\n  calls cuG(n, a, 0, default_stream)")
        self.assertEqual((entry.gate, entry.call), ("copy", "cuG"))
        self.assertEqual(entry.call_arguments, ["n", "a", "0", "default_stream"])
        self.assertEqual(entry.stream, "default_stream")

    def test_refuses_line_is_a_condition_on_the_arguments(self):
        self.assertEqual(one("forward async cuF(ptr a, u32 b)  3.2\n  refuses a == 0 && b > CU_MOST").refuses, "a == 0 && b > CU_MOST")

    def test_comments_and_blank_lines_are_ignored(self):
        self.assertEqual(model.parse("x.api", "# nothing\n\n   # still nothing\n"), [])


class MistakeTest(unittest.TestCase):
    def mistake(self, text, *parts):
        with self.assertRaises(model.ApiError) as caught:
            model.check_unique(model.parse("x.api", text))
        for part in parts:
            self.assertIn(part, str(caught.exception))

    def test_missing_decision_names_file_and_line(self):
        self.mistake("\ncuA 2.0\n", "x.api:2:", "no entry")

    def test_symbol_under_no_block_is_refused(self):
        self.mistake("client: x\n\n  cuA  2.0\n", "x.api:3:")

    def test_unknown_type_names_file_and_line(self):
        self.mistake("forward sync cuF(u128 a)  2.0", "x.api:1:", "[u128]")

    def test_unknown_option_is_refused(self):
        self.mistake("forward sync eager cuF(u8 a)  2.0", "[eager]")

    def test_duplicate_names_both_places(self):
        self.mistake("client: x\n  cuA  2.0\nhand: y\n  cuA  3.0\n", "x.api:4:", "x.api:2")

    def test_duplicate_through_variant_is_found(self):
        self.mistake("client: x\n  cuA  2.0 ptsz 7.0\n  cuA_ptsz  7.0\n", "[cuA_ptsz]")

    def test_output_of_asynchronous_call_is_refused(self):
        self.mistake("forward async cuF(out u32 a)  2.0", "must be sync")

    def test_handle_cannot_be_an_output(self):
        self.mistake("forward sync cuF(out stream s)  2.0", "cannot be an output")

    def test_variant_without_stream_is_refused(self):
        self.mistake("forward sync cuF(u32 a)  2.0 ptsz 7.0", "no stream")

    def test_cached_call_with_string_is_refused(self):
        self.mistake("forward sync cached cuF(out u32 a, string s)  2.0", "cannot be cached")

    def test_argument_of_refuses_must_exist(self):
        self.mistake("forward sync cuF(u32 a)  2.0\n  refuses a > 1 || bee > 2", "[bee]")
        self.mistake("client cuF  2.0: here\n  refuses a > 1", "belongs under a forward entry")

    def test_covered_address_must_be_one_that_is_taken(self):
        self.mistake("forward async cuF(u64 a, stream s)  2.0\n  covers a 4", "no address")
        self.mistake("forward async cuF(ptr a, stream s)  2.0\n  covers a bytes", "[bytes]")
        self.mistake("forward async cuF(ptr a)  2.0\n  covers a 4", "for no stream")
        self.mistake("client cuF  2.0: here\n  covers a 4", "belongs under a forward entry")

    def test_argument_of_calls_must_exist(self):
        self.mistake("forward sync cuF(u32 a)  2.0\n  calls cuG(b)", "[b]")

    def test_device_cannot_be_sent(self):
        self.mistake("forward sync cuF(device d)  2.0", "not sent")


class DriverTableTest(unittest.TestCase):
    HEADER = "#define T(X) \\\n  X(cuF, int a, \\\n    int b) \\\n  X(cuNone)\n"

    def check(self, text):
        model.check_driver_table(model.parse("x.api", text), self.HEADER)

    def test_known_entry_with_right_count_passes(self):
        self.check("forward sync cuF(i32 a, i32 b)  2.0")
        self.check("forward sync cuNone()  2.0")

    def test_missing_entry_fails(self):
        with self.assertRaisesRegex(model.ApiError, "not in the driver table"):
            self.check("forward sync cuG(i32 a)  2.0")

    def test_wrong_count_fails(self):
        with self.assertRaisesRegex(model.ApiError, "takes 2 arguments, not 1"):
            self.check("forward sync cuF(i32 a)  2.0")


if __name__ == "__main__":
    unittest.main()
