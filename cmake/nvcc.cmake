# Examples that nvcc builds, by custom commands: CMake's CUDA language would demand a working toolkit at configure time,
# and the ordinary build must not need one.
find_program(NVCC nvcc PATHS /usr/local/cuda/bin $ENV{CUDA_HOME}/bin)
if(NVCC)
  file(REAL_PATH ${NVCC} nvcc_path)
  get_filename_component(nvcc_bin ${nvcc_path} DIRECTORY)
  find_path(CUDART_LIB libcudart_static.a
            PATHS ${nvcc_bin}/../lib64 ${nvcc_bin}/../targets/x86_64-linux/lib ${nvcc_bin}/../targets/sbsa-linux/lib
                  /usr/local/cuda/lib64 /usr/lib/x86_64-linux-gnu
            NO_DEFAULT_PATH)
endif()

set(NVCC_FLAGS -O2 -std=c++17 -Xcompiler=-fPIC,-Wall,-Wextra)
# A function runs on any GPU from Turing on: machine code for Hopper, PTX for the rest and for the software GPU.
set(NVCC_FUNCTION_ARCHITECTURES -gencode=arch=compute_75,code=compute_75
                                -gencode=arch=compute_90,code=[sm_90,compute_90])

# nvcc_object(OUTPUT SOURCE FLAGS...): with the headers in the folder COMMON of the caller.
function(nvcc_object output source)
  file(GLOB headers CONFIGURE_DEPENDS ${COMMON}/*.h)
  add_custom_command(
    OUTPUT ${output}
    COMMAND ${CCACHE} ${NVCC} ${NVCC_FLAGS} ${ARGN} -I${COMMON} -I${CMAKE_SOURCE_DIR}/include -c ${source} -o ${output}
    DEPENDS ${source} ${headers}
    COMMENT "nvcc ${output}" VERBATIM)
endfunction()

# nvcc_libraries(OUT NAMES...): OUT becomes the files of these libraries of the toolkit, something with NOTFOUND where one
# is not there.
function(nvcc_libraries out)
  set(files "")
  foreach(library ${ARGN})
    find_library(CUDA_${library} ${library} PATHS ${CUDART_LIB} NO_DEFAULT_PATH)
    list(APPEND files ${CUDA_${library}})
  endforeach()
  set(${out} "${files}" PARENT_SCOPE)
endfunction()

# nvcc_link(OUTPUT OBJECTS FLAGS...)
function(nvcc_link output objects)
  add_custom_command(
    OUTPUT ${output}
    COMMAND ${NVCC} ${ARGN} ${objects} -o ${output}
    DEPENDS ${objects}
    COMMENT "nvcc ${output}" VERBATIM COMMAND_EXPAND_LISTS)
endfunction()

# cuda_example(NAME): lib<name>.so, and programs/<name>-<cudart>-<arch> for static and shared cudart, sm_75 and sm_90,
# all from <name>/<name>.cu.
function(cuda_example name)
  set(source ${CMAKE_CURRENT_SOURCE_DIR}/${name}/${name}.cu)
  set(objects ${CMAKE_CURRENT_BINARY_DIR}/objects)
  set(programs ${CMAKE_CURRENT_BINARY_DIR}/programs)
  file(MAKE_DIRECTORY ${objects} ${programs})

  add_library(${name}_function_main OBJECT common/function_main.cc)
  target_compile_definitions(${name}_function_main PRIVATE EXAMPLE_HANDLER=${name})
  target_include_directories(${name}_function_main PRIVATE ${CMAKE_SOURCE_DIR}/include)
  nvcc_object(${objects}/${name}.o ${source} ${NVCC_FUNCTION_ARCHITECTURES})
  set(function ${CMAKE_CURRENT_BINARY_DIR}/lib${name}.so)
  nvcc_link(${function} "${objects}/${name}.o;$<TARGET_OBJECTS:${name}_function_main>" -shared -cudart=static)
  set(outputs ${function})

  if(NOT TARGET example_program_main)
    add_library(example_program_main OBJECT common/program_main.cc)
  endif()
  foreach(arch sm_75 sm_90)
    nvcc_object(${objects}/${name}-${arch}.o ${source} -arch=${arch})
    foreach(cudart static shared)
      set(program ${programs}/${name}-${cudart}-${arch})
      nvcc_link(${program} "${objects}/${name}-${arch}.o;$<TARGET_OBJECTS:example_program_main>" -cudart=${cudart}
                -Xlinker=-rpath,${CUDART_LIB})
      list(APPEND outputs ${program})
    endforeach()
  endforeach()
  add_custom_target(example_${name} DEPENDS ${outputs})
  add_dependencies(examples example_${name})
endfunction()
