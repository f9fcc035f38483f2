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
  target_link_options(mig_options INTERFACE -fsanitize=${MIGNIFICIENT_SANITIZE})
endif()

# mig_library(NAME SOURCES a.cc b.cc LIBS other...)
function(mig_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC mig_options ${ARG_LIBS})
endfunction()

# mig_test(NAME SOURCES a_test.cc LIBS mig_base): one GoogleTest binary, one ctest entry.
function(mig_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_link_libraries(${name} PRIVATE mig_options ${ARG_LIBS} GTest::gmock GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name})
endfunction()
