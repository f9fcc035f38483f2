# The two kinds of target this tree has: a room (static library) and the unit tests beside it.

add_library(mig_options INTERFACE)
target_compile_options(mig_options INTERFACE -Wall -Wextra -Wno-missing-field-initializers
                                             $<$<BOOL:${MIGNIFICIENT_WERROR}>:-Werror>)
target_include_directories(mig_options INTERFACE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/include
                                                 ${CMAKE_BINARY_DIR})
target_link_libraries(mig_options INTERFACE fmt::fmt-header-only Threads::Threads)
if(MIGNIFICIENT_SANITIZE)
  target_compile_options(mig_options INTERFACE -fsanitize=${MIGNIFICIENT_SANITIZE}
                                               -fno-omit-frame-pointer)
  # ThreadSanitizer does not know fences. Ours only order a store before a load of other words (ring/ring.cc), which
  # publishes nothing; what is published is released and acquired.
  if(MIGNIFICIENT_SANITIZE MATCHES thread AND CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    target_compile_options(mig_options INTERFACE -Wno-tsan)
  endif()
  target_link_options(mig_options INTERFACE -fsanitize=${MIGNIFICIENT_SANITIZE})
endif()

# mig_library(NAME SOURCES a.cc b.cc LIBS other...)
function(mig_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC mig_options ${ARG_LIBS})
endfunction()

# All of them, for a build that is there to run them, such as one with sanitizers: `ctest -LE pytest` afterwards.
add_custom_target(unit_tests)

# mig_test(NAME SOURCES a_test.cc LIBS mig_base): one GoogleTest binary, one ctest entry.
function(mig_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_link_libraries(${name} PRIVATE mig_options ${ARG_LIBS} GTest::gmock GTest::gtest_main)
  add_dependencies(unit_tests ${name})
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES
    ENVIRONMENT "TSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/cmake/tsan.supp:halt_on_error=1")
endfunction()

# mig_model_test(NAME SOURCES x_model_test.cc the_code.cc): a test that runs code under the explorer (src/os/model). It
# is built for that, and so links nothing of the programs but mig_base. Not with sanitizers, which know of one stack per
# thread.
function(mig_model_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES" ${ARGN})
  if(NOT MIGNIFICIENT_SANITIZE)
    mig_test(${name} SOURCES ${ARG_SOURCES} LIBS mig_model mig_base)
  endif()
endfunction()
