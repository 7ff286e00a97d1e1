# What find_package(unsandbox) reads once CMakeLists.txt has installed it. Where OpenSSL 3 or
# threads are missing, unsandbox::desktop cannot be linked; COMPONENTS desktop makes that an error.
include("${CMAKE_CURRENT_LIST_DIR}/unsandbox-targets.cmake")
if(NOT WIN32)
    find_package(OpenSSL 3 QUIET)
    find_package(Threads QUIET)
endif()
foreach(unsandbox_component IN LISTS unsandbox_FIND_COMPONENTS)
    set(unsandbox_${unsandbox_component}_FOUND OFF)
    if(unsandbox_component STREQUAL "desktop" AND (WIN32 OR (OpenSSL_FOUND AND Threads_FOUND)))
        set(unsandbox_desktop_FOUND ON)
    endif()
    if(unsandbox_FIND_REQUIRED_${unsandbox_component}
       AND NOT unsandbox_${unsandbox_component}_FOUND)
        set(unsandbox_FOUND OFF)
        set(unsandbox_NOT_FOUND_MESSAGE
            "component ${unsandbox_component} is unknown, or needs OpenSSL 3 and threads")
    endif()
endforeach()
