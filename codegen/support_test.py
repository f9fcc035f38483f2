import pathlib
import re
import tempfile
import unittest

import model
import support

ROOT = pathlib.Path(__file__).resolve().parents[1]
API = """# Things. Some more words.
forward sync cached cuGet(out i32 value, i32 attribute)  2.0
forward async cuSet_v2(ptr dst, u8 value, size count, stream stream)  3.2 ptsz 7.0
  calls cuSetAsync(dst, value, count, stream)

client: by heart
  cuKnow  2.0

refuse: no
  cuSet  2.0
"""
MAP = "cudaSet  cuSet_v2  # a comment\ncudaCopy:HostToDevice  cuGet\nany  cuKnow\n"


def coverage(*sources):
    """Of sources (test, text, whether it includes cuda.h)."""
    found = support.Coverage(model.parse("x.api", API), support.read_runtime_map(MAP))
    for source in sources:
        found.add(*source)
    return {symbol: found.tests(symbol) for symbol in ("cuGet", "cuSet_v2", "cuSet", "cuKnow")}


class CoverageTest(unittest.TestCase):
    def test_calls_count_and_declarations_comments_strings_and_members_do_not(self):
        text = 'CUresult cuSet(int);\n// cuGet(1)\nputs("cuKnow()");\ntable.cuGet(); table->cuGet();\n/* cuKnow() */\n'
        self.assertEqual(set(map(tuple, coverage(("t", text, False)).values())), {()})
        self.assertEqual(coverage(("t", "OK(cuGet(&x, 1));", False))["cuGet"], ["t"])

    def test_name_of_the_header_means_the_newest_symbol(self):
        self.assertEqual(coverage(("t", "cuSet(1);", True))["cuSet_v2"], ["t"])
        self.assertEqual(coverage(("t", "cuSet(1);", False))["cuSet"], ["t"])

    def test_variant_counts_for_its_function(self):
        self.assertEqual(coverage(("t", "cuSet_v2_ptsz(1);", False))["cuSet_v2"], ["t"])

    def test_runtime_function_is_labelled_and_comes_after_direct_calls(self):
        found = coverage(("b", "cuSet_v2(1);", False), ("a", "cudaSet(1);", True))
        self.assertEqual(found["cuSet_v2"], ["b", "a (runtime)"])
        self.assertEqual(found["cuKnow"], ["a (runtime)"])

    def test_direction_has_to_be_named(self):
        self.assertEqual(coverage(("t", "cudaCopy(a, b, cudaMemcpyDeviceToHost);", True))["cuGet"], [])
        self.assertEqual(coverage(("t", "cudaCopy(a, b,\n  cudaMemcpyHostToDevice);", True))["cuGet"], ["t (runtime)"])

    def test_malformed_map_names_its_line(self):
        with self.assertRaisesRegex(model.ApiError, "runtime.map:2"):
            support.read_runtime_map("cudaA cuB\ncuda\n")


class PageTest(unittest.TestCase):
    def render(self, **files):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            given = {"api/x.api": API, "api/runtime.map": MAP, support.FAILING: "Program P: because.\n",
                     "tests/cuda/p.cu": "int main() { cudaSet(1); }"}
            for name, text in (given | files).items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text)
            return support.render(root)

    def test_page_has_counts_failing_programs_and_a_row_for_each_function(self):
        page = self.render()
        self.assertIn("| Things | 4 | 2 | 1 | 0 | 1 | 2 of 3 |", page)
        self.assertIn("## Programs that do not pass\n\nProgram P: because.\n", page)
        self.assertIn("| `cuGet` | forward | sent once, then answered from memory | sweep |", page)
        self.assertIn("| `cuSet_v2` `_ptsz` | forward | sent; its error comes with a later call; through `cuSetAsync` | "
                      "cuda/p (runtime) |", page)
        self.assertIn("| `cuSet` | refuse | no | sweep |", page)

    def test_map_that_names_an_unknown_function_is_refused(self):
        with self.assertRaisesRegex(model.ApiError, "cuNobody"):
            self.render(**{"api/runtime.map": "cudaA cuNobody\n"})

    def test_committed_page_is_what_api_and_tests_say(self):
        self.assertEqual(support.main([str(ROOT), "--check"]), 0)


class HeaderTest(unittest.TestCase):  # where the toolkit is
    HEADER = pathlib.Path("/usr/local/cuda/include/cuda.h")

    @unittest.skipUnless(HEADER.exists(), "no CUDA toolkit")
    def test_newest_symbol_is_what_the_header_defines(self):
        pattern = r"^\s*#\s*define\s+(cu[A-Z]\w*)\s+(?:__CUDA_API_PT\w+\()?(cu[A-Z]\w*)\)?\s*$"
        defined = dict(re.findall(pattern, self.HEADER.read_text(), re.M))
        ours = support.symbols_of_header(model.load(ROOT / "api"))
        self.assertEqual({base: ours[base] for base, symbol in defined.items() if base in ours and symbol != ours[base]}, {})
        self.assertGreater(len(defined.keys() & ours.keys()), 100)


if __name__ == "__main__":
    unittest.main()
