# mig_pytest(NAME FILES a_test.py [LABELS gpu] [TIMEOUT seconds]): one ctest entry that runs pytest on files of the
# current folder. The tests find the build tree in MIGNIFICIENT_BUILD.

# The distribution's interpreter, which the distribution's pytest belongs to, before any other.
find_program(PYTEST_PYTHON python3 PATHS /usr/bin NO_DEFAULT_PATH)
find_program(PYTEST_PYTHON python3)

function(mig_pytest name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "FILES;LABELS" ${ARGN})
  list(TRANSFORM ARG_FILES PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
  add_test(NAME ${name} COMMAND ${PYTEST_PYTHON} -m pytest -q -rs -p no:cacheprovider ${ARG_FILES})
  set_tests_properties(${name} PROPERTIES
    ENVIRONMENT "MIGNIFICIENT_BUILD=${CMAKE_BINARY_DIR};PYTHONDONTWRITEBYTECODE=1"
    LABELS "pytest;${ARG_LABELS}"
    TIMEOUT "$<IF:$<BOOL:${ARG_TIMEOUT}>,${ARG_TIMEOUT},300>")
endfunction()
