# mig_pytest(NAME FILES a_test.py [LABELS gpu] [TIMEOUT seconds]): one ctest entry that runs pytest on files of the
# current folder. The tests find the build tree in MIGNIFICIENT_BUILD.

# The distribution's interpreter, which the distribution's pytest belongs to, before any other.
find_program(PYTEST_PYTHON python3 PATHS /usr/bin NO_DEFAULT_PATH)
find_program(PYTEST_PYTHON python3)

set(PYTEST_ENVIRONMENT "MIGNIFICIENT_BUILD=${CMAKE_BINARY_DIR};PYTHONDONTWRITEBYTECODE=1")
if(MIGNIFICIENT_SANITIZE MATCHES address)
  # Programs that nothing instruments load our libcuda.so.1, and so the sanitizer's runtime, late.
  list(APPEND PYTEST_ENVIRONMENT "ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0"
                                 "UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1")
endif()

function(mig_pytest name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "FILES;LABELS" ${ARGN})
  list(TRANSFORM ARG_FILES PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
  add_test(NAME ${name} COMMAND ${PYTEST_PYTHON} -m pytest -q -rs -p no:cacheprovider ${ARG_FILES})
  set_tests_properties(${name} PROPERTIES
    ENVIRONMENT "${PYTEST_ENVIRONMENT}"
    LABELS "pytest;${ARG_LABELS}"
    TIMEOUT "$<IF:$<BOOL:${ARG_TIMEOUT}>,${ARG_TIMEOUT},300>")
endfunction()
