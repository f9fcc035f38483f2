import unittest

import emit
import model


def text(function, source):
    return function(model.parse("x.api", source))


MEMSET = "forward async gate(kernel) cuSet_v2(ptr dst, u8 value, size count)  3.2 ptds 7.0\n  calls cuSetAsync(dst, value, count, default_stream)\n"
GET = "forward sync cached cuGet(out i32 value, i32 attribute, function function)  2.2\n"
GLOBAL = "forward sync cuGlobal(out? ptr ptr, module module, string name)  2.0\n"


class CommandsTest(unittest.TestCase):
    def test_body_is_ordered_by_size_and_padded_to_eight(self):
        out = text(emit.commands, MEMSET)
        self.assertLess(out.index("uint64_t default_stream"), out.index("uint8_t value"))
        self.assertIn("uint8_t unused[7]", out)
        self.assertIn("static_assert(sizeof(Body) == 32)", out)

    def test_opcodes_follow_one_another(self):
        out = text(emit.commands, MEMSET + GET)
        self.assertIn("kFirstGeneratedOpcode + 0;", out)
        self.assertIn("kFirstGeneratedOpcode + 1;", out)
        self.assertIn("kOpcodeCount = 2;", out)


class ClientTest(unittest.TestCase):
    def test_variant_names_the_per_thread_stream(self):
        out = text(emit.client_forward, MEMSET)
        self.assertIn("return Forward_cuSet_v2(dst, value, count, nullptr);", out)
        self.assertIn("return Forward_cuSet_v2(dst, value, count, PerThread(nullptr));", out)

    def test_required_output_is_checked_and_optional_one_is_guarded(self):
        self.assertIn("if (value == nullptr) return CUDA_ERROR_INVALID_VALUE;", text(emit.client_forward, GET))
        self.assertIn("if (ptr != nullptr) *ptr = reply.ptr;", text(emit.client_forward, GLOBAL))

    def test_handles_are_looked_at_once(self):
        self.assertIn("CheckName(function)", text(emit.client_forward, GET))
        out = text(emit.client_forward, "forward async cuPut(stream a, stream b, u32 x)  2.0\n")
        self.assertIn("ReadyOn(a)", out)
        self.assertIn("CheckName(b)", out)
        self.assertNotIn("CheckName(a)", out)
        self.assertNotIn("CheckName(x)", out)

    def test_refused_condition_comes_before_the_names_of_objects(self):
        out = text(emit.client_forward, "forward sync cuPut(event e, u32 flags)  2.0\n  refuses flags > 1\n")
        self.assertLess(out.index("if (flags > 1) return CUDA_ERROR_INVALID_VALUE;"), out.index("CheckName(e)"))

    def test_addresses_are_looked_at_where_they_are_given(self):
        self.assertIn("CheckAddress(dst)", text(emit.client_forward, MEMSET))
        self.assertNotIn("CheckAddress", text(emit.client_forward, GLOBAL))

    def test_covered_memory_is_looked_at_whole_and_once(self):
        out = text(emit.client_forward, MEMSET + "  covers dst count\n")
        self.assertIn("CheckRange(dst, count, default_stream)", out)
        self.assertNotIn("CheckAddress", out)

    def test_cached_call_asks_the_cache(self):
        self.assertIn("answer_cache.Call(Command::kOpcode, body, reply)", text(emit.client_forward, GET))

    def test_forgetting_call_forgets_after_the_call(self):
        out = text(emit.client_forward, "forward sync forget cuPut(function f, i32 v)  2.0\n")
        self.assertLess(out.index("Call(Command"), out.index("answer_cache.Forget();"))


ARRAY = "forward sync cuMake(out exec made, CUshape desc)  2.0\n"
DESCRIBE = "forward sync cuDescribe(out CUshape desc, exec made)  2.0\n"
BREAK = "forward sync destroys cuBreak(exec made)  2.0\n"


class NamedObjectTest(unittest.TestCase):
    def test_struct_is_checked_and_copied_whole(self):
        out = text(emit.client_forward, ARRAY)
        self.assertIn("cuMake(CUgraphExec* made, const CUshape* desc)", out)
        self.assertIn("if (desc == nullptr) return CUDA_ERROR_INVALID_VALUE;", out)
        self.assertIn(".desc = *desc", out)
        self.assertIn("*made = As<CUgraphExec>(reply.made);", out)

    def test_object_is_named_only_on_success_and_never_beyond_the_table(self):
        out = text(emit.server_dispatch, ARRAY)
        self.assertLess(out.index("graph_execs_.full()"), out.index("driver().cuMake(&made, &in.desc)"))
        self.assertIn(".made = result == CUDA_SUCCESS ? *graph_execs_.Add(made) : 0", out)

    def test_struct_comes_back(self):
        self.assertIn("driver().cuDescribe(&desc, made)", text(emit.server_dispatch, DESCRIBE))
        self.assertIn("*desc = reply.desc;", text(emit.client_forward, DESCRIBE))

    def test_destroyed_object_is_forgotten(self):
        self.assertIn("Removed(graph_execs_, in.made, driver().cuBreak(made))", text(emit.server_dispatch, BREAK))


class ServerTest(unittest.TestCase):
    def test_wrong_handle_of_graphs_is_an_invalid_value(self):
        out = text(emit.server_dispatch, "forward sync cuPut(node n, event e)  2.0\n")
        self.assertIn("Answer(slot, CUDA_ERROR_INVALID_VALUE)", out)
        self.assertIn("Answer(slot, CUDA_ERROR_INVALID_HANDLE)", out)

    def test_gate_is_passed_after_the_handles_and_before_the_driver(self):
        out = text(emit.server_dispatch, MEMSET)
        self.assertLess(out.index("ResolveStream"), out.index("PassGate(GateClass::kKernel)"))
        self.assertLess(out.index("PassGate"), out.index("driver().cuSetAsync(in.dst, in.value, in.count, default_stream)"))
        self.assertIn("Touched(in.default_stream);", out)

    def test_unknown_handle_is_answered(self):
        self.assertIn("Answer(slot, CUDA_ERROR_INVALID_HANDLE);", text(emit.server_dispatch, MEMSET))
        self.assertIn("Answer(slot, CUDA_ERROR_INVALID_HANDLE);", text(emit.server_dispatch, GET))
        self.assertIn("Answer(slot, CUDA_ERROR_INVALID_VALUE);", text(emit.server_dispatch, BREAK))

    def test_asynchronous_command_answers_whoever_asks(self):
        out = text(emit.server_dispatch, MEMSET)
        self.assertIn("Answer(slot, driver().cuSetAsync", out)
        self.assertNotIn("wire::kSlots", out)

    def test_string_length_is_bounded_by_the_body(self):
        out = text(emit.server_dispatch, GLOBAL)
        self.assertIn("body.size() != sizeof in + (size_t{in.name_bytes} + 7) / 8 * 8", out)
        self.assertIn("name.c_str()", out)


class ShapeTest(unittest.TestCase):
    CLUSTERS = "forward sync cached cuClusters(out i32 clusters, function function, shape config)  11.7\n"

    def test_client_sends_the_values_and_the_server_builds_a_configuration(self):
        out = text(emit.client_forward, self.CLUSTERS)
        self.assertIn("if (config == nullptr) return CUDA_ERROR_INVALID_VALUE;", out)
        self.assertIn(".config = wire::Shape(*config)", out)
        out = text(emit.server_dispatch, self.CLUSTERS)
        self.assertIn("wire::Expand(in.config, config_attributes)", out)
        self.assertIn("cuClusters(&clusters, function, &config)", out)


class TableTest(unittest.TestCase):
    def test_refused_symbols_and_their_variants_say_their_name(self):
        out = text(emit.refusals, "refuse: x\n  cuA_v2  3.2 ptsz 7.0\n")
        self.assertIn('cuA_v2() { return Refused("cuA_v2"); }', out)
        self.assertIn('cuA_v2_ptsz() { return Refused("cuA_v2_ptsz"); }', out)

    def test_table_is_sorted_by_name_then_kind_then_version(self):
        out = text(emit.proc_table, "refuse: x\n  cuB  2.0\n  cuA_v2  3.2 ptds 7.0\n  cuA  2.0\n  cuC  exported\n")
        rows = [line for line in out.splitlines() if line.startswith("MIG_PROC")]
        self.assertEqual(rows, ["MIG_PROC(cuA, 2000, 0, cuA)", "MIG_PROC(cuA, 3020, 0, cuA_v2)",
                                "MIG_PROC(cuA, 7000, 1, cuA_v2_ptds)", "MIG_PROC(cuB, 2000, 0, cuB)"])


if __name__ == "__main__":
    unittest.main()
